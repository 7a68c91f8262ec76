# Uses R's base packages (stats is compiled), TLS through libcurl, locale, time zones and the payload; prints one line of JSON.
lines <- readLines(Sys.getenv("PAYLOAD_FILE"), encoding = "UTF-8")
numbers <- sort(as.integer(strsplit(lines[2], " ")[[1]]))

fetch <- function() {
  connection <- url(Sys.getenv("TEST_URL"), method = "libcurl")
  on.exit(close(connection))
  readLines(connection, warn = FALSE)
}
tls <- fetch()
Sys.setenv(CURL_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt")
refused <- tryCatch({ suppressWarnings(fetch()); FALSE }, error = function(problem) TRUE)
slope <- coef(lm(y ~ x, data.frame(x = 1:9, y = 42 * (1:9))))[["x"]]
time <- format(as.POSIXct("2024-07-01 12:00", tz = "UTC"), "%Y-%m-%d %H:%M", tz = "America/New_York")

cat(sprintf(
  '{"version":"%s.%s","text":"%s","length":%d,"sorted":[%s],"sum":%d,"native":%d,"tls":"%s","refused":%s,"time":"%s"}\n',
  R.version$major, R.version$minor, lines[1], nchar(lines[1]), paste(numbers, collapse = ","), sum(numbers),
  as.integer(round(slope)), tls, tolower(refused), time
))
