//! Network backends: user-mode NAT against a guest made of smoltcp and servers on the host's loopback; sockets; tap.
#![cfg(unix)]

mod abuse;
mod backends;
mod datagrams;
mod guest;
mod links;
mod streams;
