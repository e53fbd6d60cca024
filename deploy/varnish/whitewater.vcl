# A cache before Whitewater's HLS, for Varnish 7 (Debian 12 has 7.1). docs/cdn.md explains it.
#
# Varnish joins requests for one address by itself: players that wait for the same playlist or part are
# one request at the origin, and none of them takes a thread while it waits.
vcl 4.1;

import std;

backend whitewater {
    .host = "127.0.0.1";
    .port = "8080";
    .connect_timeout = 2s;
    # The origin holds a request for at most 10 s, and answers all at once.
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 5s;
}

sub vcl_recv {
    if (req.url !~ "^/hls/") {
        # Pages, WHIP, WHEP and the API are not for a cache.
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    if (req.http.Authorization || req.url ~ "[?&]token=") {
        # The index of a stream that is not for everybody: the answer is for who asked. What it names lies
        # below a path that many share, without a token.
        return (pass);
    }
    unset req.http.Cookie;
    if (req.url ~ "\.m3u8(\?|$)") {
        # All of the query names a playlist; its order does not.
        set req.url = std.querysort(req.url);
    } else {
        # None of it names media.
        set req.url = regsub(req.url, "\?.*$", "");
    }
}

sub vcl_backend_response {
    if (bereq.url !~ "^/hls/") {
        return (deliver);
    }
    # How long is what the origin's Cache-Control says. Nothing is served beyond that: a playlist that is
    # stale makes players late, and errors are over when the origin says so.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    if (beresp.http.Cache-Control ~ "max-age=[0-9]+") {
        # By itself Varnish reads this of a few statuses only, 400 and 503 not among them.
        set beresp.ttl = std.duration(
            regsub(beresp.http.Cache-Control, "^.*max-age=([0-9]+).*$", "\1s"), 0s);
    }
    if (beresp.ttl <= 0s || beresp.http.Cache-Control !~ "max-age=[0-9]+"
        || beresp.http.Cache-Control ~ "no-store|no-cache|private") {
        # Not kept. The default would send every player to the origin by itself for two minutes.
        set beresp.ttl = 1s;
        set beresp.uncacheable = true;
        return (deliver);
    }
    # Whatever else the defaults look at (cookies, Vary) the origin does not send.
    return (deliver);
}

sub vcl_backend_error {
    # The origin cannot be reached. Pages of every origin may see that, and players ask again.
    set beresp.http.Access-Control-Allow-Origin = "*";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Retry-After = "1";
    set beresp.body = """{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the origin cannot be reached"}""";
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    return (deliver);
}
