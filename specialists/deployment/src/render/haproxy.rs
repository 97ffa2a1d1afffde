//! HAProxy as this specialist uses it: a backend without servers of its own, to be told over the
//! runtime socket.

use crate::descriptor::Descriptor;

pub(super) fn text(service: &Descriptor) -> String {
    let Descriptor { name, public_port, .. } = service;
    // Every word is a checked name or a number: nothing here can break out of its line.
    format!(
        "# Servers of {name} are added at run time: `kind = \"haproxy\"` of its target.\n\
         global\n    \
             stats socket /run/haproxy/{name}.sock mode 600 level admin\n\n\
         defaults\n    \
             mode http\n    \
             timeout connect 1s\n    \
             timeout client 60s\n    \
             timeout server 60s\n    \
             retries 2\n    \
             option redispatch\n    \
             option forwardfor\n\n\
         frontend {name}-customers\n    \
             bind :{public_port}\n    \
             default_backend {name}\n\n\
         backend {name}\n    \
             balance roundrobin\n"
    )
}
