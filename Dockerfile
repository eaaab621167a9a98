# The image is the binary, the certificates it needs to believe a TLS server, and a folder to write to.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /longwire . && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /longwire /longwire
# Owned by the user below, and so is a new volume that is mounted here.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV LONGWIRE_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/longwire", "healthcheck"]
ENTRYPOINT ["/longwire"]
CMD ["serve"]
