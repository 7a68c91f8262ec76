// Loads every public class of the modules that a JDK without a display brings.
import java.net.URI;
import java.nio.file.*;
import java.util.*;

public class Library {
  public static void main(String[] args) throws Exception {
    FileSystem image = FileSystems.getFileSystem(URI.create("jrt:/"));
    List<String> failed = new ArrayList<>();
    int count = 0;
    try (var paths = Files.walk(image.getPath("/modules"))) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        String name = path.toString();
        if (!name.matches("/modules/java\\.[^/]+/javax?/.*\\.class")) continue;
        String type = name.replaceFirst("/modules/[^/]+/", "").replace('/', '.').replaceFirst("\\.class$", "");
        try {
          Class.forName(type, false, ClassLoader.getPlatformClassLoader());
          count += 1;
        } catch (Throwable error) {
          failed.add(type + ": " + error);
        }
      }
    }
    System.out.println(count + " classes");
    failed.forEach(System.err::println);
    System.exit(failed.isEmpty() && count > 5000 ? 0 : 1);
  }
}
