//! What fuzz targets (`tests/fuzz`) reach of the readers of streams, which are private. For nothing else.

use super::{
    spdy,
    websocket::{Message, Reader},
};

/// A client's side of a SPDY connection, to its end. Returns how many streams it opened.
pub async fn spdy(bytes: &[u8]) -> usize {
    let (mut streams, connection) = spdy::serve(tokio::io::join(bytes, tokio::io::sink()));
    let mut opened = 0;
    let counted = async {
        while let Some(stream) = streams.recv().await {
            let _ = stream.header("streamtype");
            opened += 1;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // How it ends does not matter, only that it does.
        _ = connection => {}
        () = counted => {}
    }
    opened
}

/// A client's side of a WebSocket, to its end. Returns the bytes of its messages.
pub async fn websocket(bytes: &[u8]) -> usize {
    let (mut reader, mut count) = (Reader::new(bytes), 0);
    while let Ok(Some(Message::Data(data) | Message::Ping(data))) = reader.next().await {
        count += data.len();
    }
    count
}
