import java.util.ArrayList;
import java.util.HashMap;

/** Starts a JVM and gives its compilers something to do: hashing, virtual calls, streams. */
public class Work {
    interface Shape {
        double area();
    }

    record Square(double side) implements Shape {
        public double area() {
            return side * side;
        }
    }

    record Circle(double radius) implements Shape {
        public double area() {
            return 3 * radius * radius;
        }
    }

    public static void main(String[] arguments) {
        HashMap<String, Integer> words = new HashMap<>();
        for (int i = 0; i < 200_000; i++) {
            words.merge("word" + i % 5_000, 1, Integer::sum);
        }
        ArrayList<Shape> shapes = new ArrayList<>();
        for (int i = 0; i < 100_000; i++) {
            shapes.add(i % 3 == 0 ? new Circle(i) : new Square(i));
        }
        double total = 0;
        for (int round = 0; round < 20; round++) {
            for (Shape shape : shapes) {
                total += shape.area();
            }
        }
        long counted = words.values().stream().mapToLong(Integer::longValue).sum();
        System.out.println(counted + " " + words.size() + " " + (long) total);
    }
}
