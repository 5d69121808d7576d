// Routes as contexts of the JDK's server, which are prefixes: java Routes.java PORT
//
// The rest of the decoded path is told as the capture. The answer is as in routes.conf.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Executors;

public class Routes {
    static final Map<String, String> CONTEXTS = Map.of(
        "/", "root",
        "/public/a", "public-a",
        "/open/", "open",
        "/open/admin", "admin",
        "/encoded/", "encoded",
        "/closed/", "closed",
        "/files/", "files");

    public static void main(String[] arguments) throws IOException {
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        CONTEXTS.forEach((path, name) -> server.createContext(path, exchange -> answer(exchange, path, name)));
        server.start();
    }

    static void answer(HttpExchange exchange, String context, String name) throws IOException {
        var rule = exchange.getRequestHeaders().getFirst("Portvakt-Rule");
        var uri = exchange.getRequestURI();
        var rest = uri.getPath().substring(context.length());
        var text = String.join("\n", name, rule == null ? "" : rule, uri.toString(), rest);
        var bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }
}
