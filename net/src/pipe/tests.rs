//! Bytes through a worker to a voter over real TCP and QUIC: half-close, failover, no voter at all.

use super::*;
use crate::testing::{Node, authority, soon};

/// Says its name, repeats what it hears, and says goodbye when the client has finished.
struct Repeat(&'static str);

impl AcceptStream for Repeat {
    fn accept(&self, _: NodeId, mut stream: PipeStream) -> BoxFuture<'static, ()> {
        let name = self.0;
        async move {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            stream.write_all(name.as_bytes()).await.unwrap();
            stream.write_all(&heard).await.unwrap();
            stream.write_all(b"bye").await.unwrap();
            stream.shutdown().await.unwrap();
        }
        .boxed()
    }
}

struct Lab {
    worker: Node,
    voters: Vec<Node>,
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A worker that pipes to two voters, of which those named serve.
async fn lab(serving: &[(usize, &'static str)]) -> Lab {
    let ca = authority();
    let worker = Node::start(&ca);
    let voters = vec![Node::start(&ca), Node::start(&ca)];
    let members = || {
        let voters = voters.iter().map(|node| node.peer(Role::Voter));
        voters.chain([worker.peer(Role::Worker)]).collect()
    };
    [&worker, &voters[0], &voters[1]].iter().for_each(|node| assert!(node.peers.replace(members(), &[]).is_empty()));
    for (place, name) in serving {
        voters[*place].endpoint.serve(Protocol::Pipe, PipeServer::new(Arc::new(Repeat(name))));
    }
    let live = watch::Sender::new(BTreeSet::new()).subscribe();
    let pipes = PipeListener::new(Arc::new(worker.endpoint.clone()), worker.peers.clone(), live);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(pipes.run(listener));
    Lab { worker, voters, address, task }
}

async fn ask(lab: &Lab, text: &[u8]) -> Vec<u8> {
    soon(async {
        let mut client = TcpStream::connect(lab.address).await.unwrap();
        // Both directions at once, or a large text would fill all buffers.
        let (mut reader, mut writer) = client.split();
        let mut answer = Vec::new();
        let write = async {
            let _ = writer.write_all(text).await;
            let _ = writer.shutdown().await;
        };
        let (_, _) = tokio::join!(write, reader.read_to_end(&mut answer));
        answer
    })
    .await
}

#[tokio::test]
async fn bytes_pass_unchanged_and_a_half_close_reaches_the_other_end() {
    let lab = lab(&[(0, ""), (1, "")]).await;
    let large: Vec<u8> = (0..3_000_000u32).map(|byte| byte as u8).collect();
    for text in [b"".as_slice(), b"hello", &large] {
        assert!(ask(&lab, text).await == [text, b"bye"].concat(), "{} bytes", text.len());
    }
}

#[tokio::test]
async fn connections_spread_over_the_voters() {
    let lab = lab(&[(0, "a"), (1, "b")]).await;
    let mut answers = vec![ask(&lab, b"").await, ask(&lab, b"").await];
    answers.sort();
    assert_eq!(answers, [b"abye", b"bbye"]);
}

#[tokio::test]
async fn the_next_voter_is_tried_where_one_does_not_serve() {
    let lab = lab(&[(1, "b")]).await;
    for _ in 0..4 {
        assert_eq!(ask(&lab, b"hello").await, b"bhellobye");
    }
    soon(lab.voters[0].endpoint.close()).await;
    for _ in 0..2 {
        assert_eq!(ask(&lab, b"hello").await, b"bhellobye");
    }
}

#[tokio::test]
async fn without_a_voter_the_connection_is_closed() {
    let lab = lab(&[]).await;
    assert_eq!(ask(&lab, b"hello").await, b"");
    let _ = lab.worker.id();
}
