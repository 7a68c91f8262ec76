// Loads every public class of the modules that a JDK without a display brings, and uses what Java has in C: text, pictures and sound.
import java.awt.*;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.file.*;
import java.util.*;
import java.util.List;
import javax.imageio.ImageIO;
import javax.sound.sampled.AudioSystem;

public class Library {
  static final List<String> failed = new ArrayList<>();

  interface Work {
    void run() throws Exception;
  }

  static boolean attempt(String what, Work work) {
    try {
      work.run();
      return true;
    } catch (Throwable error) {
      failed.add(what + ": " + error);
      return false;
    }
  }

  static int loadClasses() throws Exception {
    FileSystem image = FileSystems.getFileSystem(URI.create("jrt:/"));
    int count = 0;
    try (var paths = Files.walk(image.getPath("/modules"))) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        String name = path.toString();
        if (!name.matches("/modules/java\\.[^/]+/javax?/.*\\.class")) continue;
        String type = name.replaceFirst("/modules/[^/]+/", "").replace('/', '.').replaceFirst("\\.class$", "");
        if (attempt(type, () -> Class.forName(type, false, ClassLoader.getPlatformClassLoader()))) count += 1;
      }
    }
    return count;
  }

  static BufferedImage drawText() {
    BufferedImage image = new BufferedImage(200, 50, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 20));
    graphics.drawString("Z\u00fcrich", 5, 30);
    int[] pixels = image.getRGB(0, 0, 200, 50, null, 0, 200);
    if (Arrays.stream(pixels).allMatch(pixel -> pixel == pixels[0])) throw new IllegalStateException("nothing was drawn");
    return image;
  }

  public static void main(String[] args) throws Exception {
    int count = loadClasses();
    attempt("text", Library::drawText);
    attempt("pictures", () -> {
      for (String format : List.of("png", "jpg", "gif", "bmp", "tiff")) {
        BufferedImage empty = new BufferedImage(9, 9, BufferedImage.TYPE_INT_RGB);
        if (!ImageIO.write(empty, format, new ByteArrayOutputStream())) throw new IllegalStateException(format);
      }
    });
    attempt("sound", AudioSystem::getMixerInfo);
    System.out.println(count + " classes");
    failed.forEach(System.err::println);
    System.exit(failed.isEmpty() && count > 5000 ? 0 : 1);
  }
}
