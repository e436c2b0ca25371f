# Rscript mclust.R FOLDER: BIC (the smaller the better) of all models of mclust for every file of FOLDER.
# A file "NUMBER-MOST.csv" has a data set without a header and is fitted with 1 to MOST components.
suppressMessages(library(mclust))
folder <- commandArgs(trailingOnly = TRUE)[1]
for (file in list.files(folder)) {
  number <- as.integer(strsplit(sub(".csv", "", file, fixed = TRUE), "-")[[1]])
  x <- as.matrix(read.csv(file.path(folder, file), header = FALSE))
  bic <- suppressWarnings(mclustBIC(x, G = 1:number[2], verbose = FALSE))
  for (k in rownames(bic)) for (model in colnames(bic)) {
    cat(number[1], k, model, format(-bic[k, model], digits = 15), "\n")
  }
}
