# An image of one program and the shared libraries that it names, and nothing else: tools/image lays
# them out, docker-compose.yml tells what to call.
FROM scratch
COPY image /
ENTRYPOINT ["/program"]
