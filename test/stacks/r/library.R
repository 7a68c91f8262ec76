# Loads every package that R brings and reads each of its objects and data sets; loads R's modules, and draws on every device that makes files.
options(warn = 2)
failed <- character()
count <- 0
try_or_note <- function(what, work) {
  tryCatch(work, error = function(problem) failed <<- c(failed, paste0(what, ": ", conditionMessage(problem))))
}

packages <- rownames(installed.packages())
for (package in packages) try_or_note(package, {
  # tcltk warns that there is no display: Tcl works without one, Tk does not.
  space <- if (package == "tcltk") suppressWarnings(loadNamespace(package)) else loadNamespace(package)
  data <- if (package == "base") emptyenv() else getNamespaceInfo(space, "lazydata")
  for (place in list(space, data)) {
    for (name in ls(place, all.names = TRUE)) try_or_note(paste(package, name, sep = "::"), {
      get(name, place)
      count <- count + 1
    })
  }
})

for (module in list.files(file.path(R.home(), "modules"), full.names = TRUE)) try_or_note(module, dyn.load(module))

has <- capabilities()
# These need a display, a terminal or another system; R of today is never built with libxml.
apart <- c("X11", "aqua", "cledit", "libxml")
for (name in setdiff(names(has)[!has], apart)) failed <- c(failed, paste0(name, ": R was built without it"))

draw <- function(device, ...) {
  file <- tempfile()
  get(device)(file, ...)
  plot(1:9, main = "Z\u00fcrich")
  dev.off()
  if (file.size(file) < 1000) stop("an empty picture")
}
for (device in c("bmp", "jpeg", "png", "tiff")) try_or_note(device, draw(device, type = "cairo"))
for (device in c("svg", "cairo_pdf", "cairo_ps", "pdf", "postscript")) try_or_note(device, draw(device))

cat(length(packages), "packages,", count, "objects and data sets\n")
writeLines(failed, stderr())
quit(status = if (length(failed) == 0 && length(packages) >= 14 && count > 7000) 0 else 1)
