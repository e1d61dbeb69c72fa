# syntax=docker/dockerfile:1
# Builds from the repository alone; the image holds the binary and runs it as a user without rights.

FROM rust:1.95.0-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    SQLX_OFFLINE=true cargo build --release --locked --package docket --bin docket \
    && install -D target/release/docket /out/docket \
    && install -d -m 0700 /out/data

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/docket /usr/local/bin/docket
# A new volume mounted here takes over this folder's owner and rights.
COPY --from=build --chown=10001:10001 /out/data /var/lib/docket
ENV DOCKET_LISTEN=0.0.0.0:8080 \
    DOCKET_DATA=/var/lib/docket
USER 10001:10001
WORKDIR /var/lib/docket
VOLUME /var/lib/docket
EXPOSE 8080
ENTRYPOINT ["docket"]
CMD ["serve"]
