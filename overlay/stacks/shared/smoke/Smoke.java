import java.time.Instant;
import java.time.ZoneId;
import javax.net.ssl.SSLContext;

/** java Smoke 21: checks that this is Java 21 and that its standard library works. */
class Smoke {
    public static void main(String[] arguments) throws Exception {
        int version = Runtime.version().feature();
        if (version != Integer.parseInt(arguments[0])) throw new Error("Java " + version);
        SSLContext.getDefault();
        String time = Instant.EPOCH.atZone(ZoneId.of("Asia/Tokyo")).toString();
        if (!time.startsWith("1970-01-01T09:00")) throw new Error(time);
    }
}
