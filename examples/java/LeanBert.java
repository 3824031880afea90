import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * LeanBERT in Java 17 by a small JNI library (leanbert_jni.c).
 *
 * <pre>
 *   javac -h . LeanBert.java
 *   cc -shared -fPIC -I"$JAVA_HOME/include" -I"$JAVA_HOME/include/linux" -I. leanbert_jni.c \
 *       $(pkg-config --cflags --libs leanbert) -o libleanbert_jni.so
 *   java -Djava.library.path=. LeanBert BUNDLE "Operating profit rose to EUR 13.1 mn."
 * </pre>
 *
 * Any number of threads may classify with one object; close waits for none of them, so call it when they are done.
 */
public final class LeanBert implements AutoCloseable {
  static {
    System.loadLibrary("leanbert_jni");
  }

  private long model;
  private final String[] labels;

  /** Opens a bundle; throws IllegalArgumentException with the library's line where it is refused. */
  public LeanBert(String bundle) {
    model = open(utf8(bundle));
    labels = new String[labelCount(model)];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = new String(label(model, i), StandardCharsets.UTF_8);
    }
  }

  public List<String> labels() {
    return List.of(labels);
  }

  /** The scores of all labels, a row for each text. */
  public List<float[]> classify(List<String> texts) {
    byte[][] data = texts.stream().map(LeanBert::utf8).toArray(byte[][]::new);
    float[] scores = new float[data.length * labels.length];
    classify(model, data, scores);
    List<float[]> rows = new ArrayList<>();
    for (int from = 0; from < scores.length; from += labels.length) {
      rows.add(java.util.Arrays.copyOfRange(scores, from, from + labels.length));
    }
    return rows;
  }

  @Override
  public void close() {
    close(model);
    model = 0;
  }

  // Java's own "UTF" of JNI is another encoding: bytes cross the border.
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static native long open(byte[] bundle);

  private static native void close(long model);

  private static native int labelCount(long model);

  private static native byte[] label(long model, int number);

  private static native void classify(long model, byte[][] texts, float[] scores);

  public static void main(String[] arguments) {
    List<String> texts = List.of(arguments).subList(Math.min(1, arguments.length), arguments.length);
    try (LeanBert model = new LeanBert(arguments.length > 0 ? arguments[0] : "")) {
      for (float[] row : model.classify(texts)) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < row.length; i++) {
          line.append(i == 0 ? "" : "  ").append(model.labels().get(i)).append(' ').append(row[i]);
        }
        System.out.println(line);
      }
    } catch (IllegalArgumentException error) {
      System.err.println("LeanBert: " + error.getMessage());
      System.exit(1);
    }
  }
}
