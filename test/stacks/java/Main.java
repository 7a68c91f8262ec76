// Uses Java's standard library, TLS, character sets, time zones and the payload, and tells what it has; prints one line of JSON.
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateFactory;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

class Main {
    static String fetch(SSLContext context) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("TEST_URL"))).build();
        return HttpClient.newBuilder().sslContext(context).build().send(request, BodyHandlers.ofString()).body();
    }

    static SSLContext trustGivenAuthority() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(Path.of(System.getenv("TEST_CA")))) {
            store.setCertificateEntry("test", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static boolean isRefused() throws Exception {
        try {
            fetch(SSLContext.getDefault());
            return false;
        } catch (IOException error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (cause instanceof CertPathBuilderException) return true;
            }
            throw error;
        }
    }

    public static void main(String[] arguments) throws Exception {
        String[] lines = Files.readString(Path.of(System.getenv("PAYLOAD_FILE"))).split("\n");
        int[] numbers = Arrays.stream(lines[1].split(" ")).mapToInt(Integer::parseInt).sorted().toArray();
        String sorted = Arrays.stream(numbers).mapToObj(String::valueOf).collect(Collectors.joining(","));
        // Computed by the library's own code in C (zlib).
        CRC32 crc = new CRC32();
        crc.update("stackshim".getBytes());
        long known = 0xf20c50ccL;
        String time = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm")
            .format(Instant.parse("2024-07-01T12:00:00Z").atZone(ZoneId.of("America/New_York")));
        byte[] line = String.format(
            "{\"version\":\"%s\",\"text\":\"%s\",\"length\":%d,\"sorted\":[%s],\"sum\":%d,\"native\":%d,\"tls\":\"%s\","
                + "\"refused\":%s,\"time\":\"%s\",\"cpus\":%d,\"memoryBytes\":%d}%n",
            Runtime.version().feature(), lines[0], lines[0].codePointCount(0, lines[0].length()), sorted,
            Arrays.stream(numbers).sum(), crc.getValue() - known + 42, fetch(trustGivenAuthority()), isRefused(), time,
            Runtime.getRuntime().availableProcessors(), Runtime.getRuntime().maxMemory()).getBytes("UTF-8");
        System.out.write(line);
        System.out.flush();
        System.exit(0);
    }
}
