//! Two clients of an ivshmem server, which is played here.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tern_core::backend::Peers;
use tern_host::ivshmem::{self, Interrupts};
use tern_host::sys::file::{eventfd2, ftruncate, memfd_create};
use tern_host::sys::socket::{Control, sendmsg};

const VECTORS: usize = 2;

fn send(client: &UnixStream, number: i64, descriptor: Option<i32>) {
    let control: Vec<Control> = descriptor.into_iter().map(|fd| Control::Rights(vec![fd])).collect();
    let sent = sendmsg(client.as_raw_fd(), None, &[IoSlice::new(&number.to_le_bytes())], &control, 0);
    assert_eq!(sent, Ok(8));
}

/// What a server sends to a new client, and its events.
fn welcome(client: &UnixStream, id: i64, memory: i32, others: &[(i64, Vec<i32>)]) -> Vec<i32> {
    let events: Vec<i32> = (0..VECTORS).map(|_| eventfd2(0, 0).unwrap()).collect();
    send(client, 0, None);
    send(client, id, None);
    send(client, -1, Some(memory));
    for (peer, event) in others.iter().flat_map(|(peer, events)| events.iter().map(move |event| (*peer, *event))) {
        send(client, peer, Some(event));
    }
    events.iter().for_each(|event| send(client, id, Some(*event)));
    events
}

fn connect(path: &Path, vectors: u16) -> Result<(Box<dyn Peers>, Interrupts), String> {
    ivshmem::open(UnixStream::connect(path).unwrap(), vectors)
}

fn place(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tern-ivshmem-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn clients_share_memory_and_interrupt_each_other() {
    let path = place("pair");
    let listener = UnixListener::bind(&path).unwrap();
    let memory = memfd_create(c"shared", 0).unwrap();
    ftruncate(memory, 0x2000).unwrap();
    let server = std::thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        let one = welcome(&first, 5, memory, &[]);
        let (second, _) = listener.accept().unwrap();
        let two = welcome(&second, 6, memory, &[(5, one)]);
        two.iter().for_each(|event| send(&first, 6, Some(*event)));
        (first, second)
    });
    let (mut a, mut from_a) = connect(&path, 2).unwrap();
    let (mut b, mut from_b) = connect(&path, 1).unwrap();
    let (first, _second) = server.join().unwrap();
    assert_eq!((a.id(), b.id(), a.memory().size()), (5, 6, 0x2000));
    a.memory().write(0x1ffe, &[1, 2, 3]);
    let mut bytes = [9; 4];
    b.memory().read(0x1ffd, &mut bytes);
    assert_eq!(bytes, [0, 1, 2, 0]);
    assert_eq!((from_a.poll(), from_b.poll()), (vec![], vec![]));
    assert_eq!((from_a.fds().len(), from_b.fds().len()), (3, 2));
    a.ring(6, 0);
    a.ring(6, 0);
    a.ring(5, 1);
    // Vectors and peers that there are not.
    a.ring(6, 7);
    a.ring(7, 0);
    assert_eq!((from_a.poll(), from_b.poll()), (vec![1, 0], vec![0, 0]));
    assert_eq!((from_a.poll(), from_b.poll()), (vec![], vec![]));
    b.ring(5, 0);
    assert_eq!(from_a.poll(), [0, 0]);
    // The second one goes; then the server.
    send(&first, 6, None);
    drop(first);
    a.ring(6, 0);
    assert_eq!((from_b.poll(), from_a.fds().len()), (vec![], 2));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn servers_that_talk_nonsense_are_refused() {
    let path = place("nonsense");
    let listener = UnixListener::bind(&path).unwrap();
    for messages in [vec![], vec![1], vec![0, -1], vec![0, 1 << 16], vec![0, 1, 99_999], vec![0, 1, -1]] {
        let listener = listener.try_clone().unwrap();
        let server = std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            messages.into_iter().for_each(|number| send(&client, number, None));
        });
        assert!(connect(&path, 1).is_err());
        server.join().unwrap();
    }
    std::fs::remove_file(path).unwrap();
}
