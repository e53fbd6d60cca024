# The server with its pages. docs/deploy.md says how to run it; tests/deploy.rs runs its commands.
FROM node:22-bookworm-slim AS pages
WORKDIR /src/web-demo
COPY web-demo/package.json web-demo/package-lock.json web-demo/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web-demo ./
RUN npm run build

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        cmake libgstreamer-plugins-base1.0-dev libgstreamer1.0-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=pages /src/web-demo/dist web-demo/dist
RUN cargo build --locked --release --bin whitewater

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl libgstreamer-plugins-base1.0-0 libgstreamer1.0-0 \
        gstreamer1.0-libav gstreamer1.0-plugins-bad gstreamer1.0-plugins-base \
        gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/whitewater --create-home whitewater
COPY --from=build /src/target/release/whitewater /usr/local/bin/whitewater
USER whitewater
WORKDIR /var/lib/whitewater
ENV WHITEWATER_HTTP=0.0.0.0:8080 WHITEWATER_UDP=0.0.0.0:7000 WHITEWATER_DATA=/var/lib/whitewater
EXPOSE 8080/tcp 7000/udp 7000/tcp
# With a certificate it speaks TLS alone, under a name that is not this address.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["sh", "-c", "at=127.0.0.1:${WHITEWATER_HTTP##*:}/healthz; curl -fsS http://$at || curl -fsSk https://$at"]
ENTRYPOINT ["whitewater"]
CMD ["serve"]
