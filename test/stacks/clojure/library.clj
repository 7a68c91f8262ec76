;; Requires every namespace of the archives that Clojure runs from, loads their classes and every public class of Java's modules, and draws text.
(require '[clojure.string :as string] '[clojure.java.io :as io])
(import '[java.awt.image BufferedImage] '[java.io File PushbackReader] '[java.net URI] '[java.nio.file FileSystems Files Path] '[java.util.jar JarFile])

(def failed (atom []))
(defn attempt [what work]
  (try (work) true (catch Throwable error (swap! failed conj (str what ": " error)) false)))

(defn with-companions [path]
  (let [jar (JarFile. ^String path)
        wanted (some-> jar .getManifest .getMainAttributes (.getValue "Class-Path"))]
    (cons jar (for [name (some-> wanted (string/split #" +")) :when (seq name)]
                (JarFile. (io/file (.resolve (.toURI (.getCanonicalFile (io/file path))) ^String name)))))))

(def jars (mapcat with-companions (string/split (System/getProperty "java.class.path") (re-pattern File/pathSeparator))))
(def entries (for [jar jars, entry (enumeration-seq (.entries ^JarFile jar))] [jar entry (.getName entry)]))

(defn namespace-name
  "Nothing for a file that is a part of another's namespace."
  [jar entry]
  (with-open [reader (PushbackReader. (io/reader (.getInputStream ^JarFile jar entry)))]
    (let [form (read {:read-cond :allow :eof nil} reader)]
      (when (and (seq? form) (= 'ns (first form))) (second form)))))

;; Its archive, an early ForkJoin with jsr166y.forkjoin.ParallelArray, is no longer made by anybody.
(def apart '#{clojure.parallel})

(def names (for [[jar entry path] entries
                 :when (re-find #"\.cljc?$" path)
                 :let [name (namespace-name jar entry)]
                 :when (and name (not (apart name)))]
             name))
(doseq [name names] (attempt name #(require name)))

(defn load-class [path loader]
  (let [name (-> path (string/replace #"\.class$" "") (string/replace "/" "."))]
    (attempt name #(Class/forName name false loader))))

(def loader (.getContextClassLoader (Thread/currentThread)))
(def classes (count (for [[_ _ path] entries :when (re-find #"(?<!module-info)\.class$" path)] (load-class path loader))))

(def java-classes
  (let [root (.getPath (FileSystems/getFileSystem (URI. "jrt:/")) "/modules" (make-array String 0))]
    (with-open [paths (Files/walk root (make-array java.nio.file.FileVisitOption 0))]
      (count (for [path (iterator-seq (.iterator paths))
                   :let [[_ type] (re-find #"^/modules/java\.[^/]+/(javax?/.*\.class)$" (str path))]
                   :when type]
               (load-class type (ClassLoader/getPlatformClassLoader)))))))

;; Java has this in C.
(attempt "text"
  #(let [image (BufferedImage. 200 50 BufferedImage/TYPE_INT_RGB)]
     (.drawString (.createGraphics image) "Z\u00fcrich" 5 30)
     (when (apply = (.getRGB image 0 0 200 50 nil 0 200)) (throw (IllegalStateException. "nothing was drawn")))))

(println (count names) "namespaces," classes "classes of Clojure," java-classes "of Java")
(binding [*out* *err*] (run! println @failed))
(System/exit (if (and (empty? @failed) (> (count names) 30) (> classes 3000) (> java-classes 5000)) 0 1))
