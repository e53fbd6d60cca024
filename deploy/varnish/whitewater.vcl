# A cache before Whitewater's HLS, DASH and recordings, for Varnish 7 (Debian 12 has 7.1). docs/cdn.md
# explains it.
#
# Varnish joins requests for one address by itself: players that wait for the same playlist or part are
# one request at the origin, and none of them takes a thread while it waits.
vcl 4.1;

import std;

backend whitewater {
    .host = "127.0.0.1";
    .port = "8080";
    .connect_timeout = 2s;
    # The origin holds a request for at most 12 s.
    .first_byte_timeout = 15s;
    # Answers come all at once, but for the segment that DASH asks for while it is made: each of its parts is
    # sent, here too, when it is there.
    .between_bytes_timeout = 15s;
}

sub vcl_recv {
    # Varnish has added its client's address to X-Forwarded-For, behind whatever the client wrote there itself.
    # The server reads the last one, if it has this cache's address in trusted_proxies.
    if (req.url !~ "^/(hls|dash|replay)/") {
        # Pages, WHIP, WHEP and the API are not for a cache.
        return (pass);
    }
    if (req.url ~ "^/replay/[^?]*/download\.mp4(\?|$)") {
        # All of a recording, for one, perhaps from its middle on: a cache would fetch it from the beginning.
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    if (req.http.Authorization || req.url ~ "[?&]token=") {
        # The index or manifest of a stream that is not for everybody: the answer is for who asked. What it
        # names lies below a path that many share, without a token.
        return (pass);
    }
    unset req.http.Cookie;
    if (req.url ~ "^/hls/[^?]*\.m3u8(\?|$)") {
        # All of the query names a playlist; its order does not.
        set req.url = std.querysort(req.url);
    } else {
        # None of it names media, a manifest, or anything of a recording.
        set req.url = regsub(req.url, "\?.*$", "");
    }
}

sub vcl_backend_fetch {
    if (bereq.url !~ "^/hls/") {
        # Streams of events are silent for 15 s at a time.
        set bereq.first_byte_timeout = 60s;
        set bereq.between_bytes_timeout = 60s;
    }
}

sub vcl_backend_response {
    if (bereq.url !~ "^/(hls|dash|replay)/") {
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
    if (bereq.url ~ "^/replay/" && beresp.ttl > 1h) {
        # The origin says a day. But recordings are deleted, and a signed path is good for a while only.
        set beresp.ttl = 1h;
    }
    # Whatever else the defaults look at (cookies, Vary: *) the origin does not send.
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
