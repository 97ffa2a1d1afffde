FROM nginx
ENV API_TOKEN="abc" LOG=debug
ADD https://shop.test/a.tgz /
RUN apt-get update && \
  curl -fsSL https://shop.test/i | sudo bash
