// An API on the HTTP server of the JDK: java Upstream.java PORT
//
// It reads and drains bodies in its own way, and its keep-alive differs from that of the others.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

public class Upstream {
    public static void main(String[] arguments) throws IOException {
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", Upstream::echo);
        server.createContext("/open/unread", exchange -> answer(exchange, "body left unread"));
        server.createContext("/open/stream", Upstream::stream);
        server.start();
    }

    /** Says the target, the length of the body, and its digest. */
    static void echo(HttpExchange exchange) throws IOException {
        var digest = digest();
        long bytes = 0;
        var piece = new byte[65536];
        InputStream body = exchange.getRequestBody();
        for (int read; (read = body.read(piece)) >= 0; bytes += read) {
            digest.update(piece, 0, read);
        }
        answer(exchange, exchange.getRequestURI() + " " + bytes + " " + HexFormat.of().formatHex(digest.digest()));
    }

    /** 5 MiB in chunks. */
    static void stream(HttpExchange exchange) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        try (var body = exchange.getResponseBody()) {
            for (int at = 0; at < 80; at++) {
                body.write(new byte[65536]);
            }
        }
    }

    static void answer(HttpExchange exchange, String text) throws IOException {
        var bytes = text.getBytes("UTF-8");
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(200, head ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
    }

    static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (java.security.NoSuchAlgorithmException fault) {
            throw new IllegalStateException(fault);
        }
    }
}
