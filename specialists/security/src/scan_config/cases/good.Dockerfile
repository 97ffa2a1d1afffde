FROM rust:1.95 AS build
RUN cargo build

FROM debian:12.8
ARG VERSION=1
ENV PASSWORD_FILE=/run/secrets/db
COPY --from=build /a /a
USER shop:shop
