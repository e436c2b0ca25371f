# Rscript flexmix.R DATA REPEATS: seconds and log-likelihood of every fit of two Poisson regressions by flexmix.
# DATA has the columns y, x1, x2, ...; a fit to warm up comes first.
suppressMessages(library(flexmix))
given <- commandArgs(trailingOnly = TRUE)
data <- read.csv(given[1])
set.seed(1)
for (i in 0:as.integer(given[2])) {
  took <- system.time(fit <- flexmix(y ~ ., data = data, k = 2, model = FLXMRglm(family = "poisson")))
  if (i > 0) cat(took[["elapsed"]], format(as.numeric(logLik(fit)), digits = 15), "\n")
}
