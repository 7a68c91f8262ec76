;; Uses Clojure's standard library and Java's: TLS, character sets, time zones and the payload; prints one line of JSON.
(require '[clojure.string :as string])
(import '[java.net URI] '[java.net.http HttpClient HttpRequest HttpResponse$BodyHandlers]
        '[java.security KeyStore] '[java.security.cert CertificateFactory]
        '[java.time Instant ZoneId] '[java.time.format DateTimeFormatter]
        '[java.util.zip CRC32] '[javax.net.ssl SSLContext SSLHandshakeException TrustManagerFactory])

(defn fetch [context]
  (let [request (.build (HttpRequest/newBuilder (URI/create (System/getenv "TEST_URL"))))
        client (-> (HttpClient/newBuilder) (.sslContext context) .build)]
    (.body (.send client request (HttpResponse$BodyHandlers/ofString)))))

(defn given-authority []
  (let [store (doto (KeyStore/getInstance (KeyStore/getDefaultType)) (.load nil nil))
        trust (TrustManagerFactory/getInstance (TrustManagerFactory/getDefaultAlgorithm))]
    (with-open [pem (clojure.java.io/input-stream (System/getenv "TEST_CA"))]
      (.setCertificateEntry store "test" (.generateCertificate (CertificateFactory/getInstance "X.509") pem)))
    (.init trust store)
    (doto (SSLContext/getInstance "TLS") (.init nil (.getTrustManagers trust) nil))))

(defn refused? []
  (try (fetch (SSLContext/getDefault)) false (catch SSLHandshakeException _ true)))

(let [[text line] (string/split-lines (slurp (System/getenv "PAYLOAD_FILE") :encoding "UTF-8"))
      numbers (sort (map parse-long (string/split line #" ")))
      crc (doto (CRC32.) (.update (.getBytes "stackshim")))
      noon (.atZone (Instant/parse "2024-07-01T12:00:00Z") (ZoneId/of "America/New_York"))]
  (println
   (format "{\"text\":\"%s\",\"length\":%d,\"sorted\":[%s],\"sum\":%d,\"native\":%d,\"tls\":\"%s\",\"refused\":%s,\"time\":\"%s\",\"cpus\":%d,\"memoryBytes\":%d}"
           text (.codePointCount text 0 (count text)) (string/join "," numbers) (reduce + numbers)
           (+ 42 (- (.getValue crc) 0xf20c50cc)) (fetch (given-authority)) (refused?)
           (.format noon (DateTimeFormatter/ofPattern "yyyy-MM-dd HH:mm"))
           (.availableProcessors (Runtime/getRuntime)) (.maxMemory (Runtime/getRuntime)))))
(System/exit 0)
