//! gzip for large answers, where the client takes it.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};

use super::Head;
use crate::http::body::ReplyBody;

/// Answers below this are sent as they are, as upstream has it.
const MIN_BYTES: usize = 128 << 10;

/// Fast: a list is read once.
const LEVEL: Compression = Compression::fast();

/// Compresses a large answer that is not a watch.
pub(super) fn maybe(head: &Head, response: Response<ReplyBody>) -> Response<ReplyBody> {
    let accepted = head.text(header::ACCEPT_ENCODING).unwrap_or_default();
    let wanted = accepted.split(',').any(|e| e.split(';').next().is_some_and(|name| name.trim() == "gzip"));
    if !wanted || head.query.flag("watch") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match body {
        ReplyBody::Full(bytes) if bytes.len() < MIN_BYTES => {
            return Response::from_parts(parts, ReplyBody::Full(bytes));
        }
        // In the form that its author gave it.
        ReplyBody::Relayed(_) => return Response::from_parts(parts, body),
        ReplyBody::Full(bytes) => ReplyBody::Full(whole(&bytes)),
        ReplyBody::Stream(chunks) => ReplyBody::Stream(zipped(chunks)),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, body)
}

fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), LEVEL)
}

fn whole(bytes: &[u8]) -> Bytes {
    let mut encoder = encoder();
    encoder.write_all(bytes).expect("writing into memory does not fail");
    encoder.finish().expect("writing into memory does not fail").into()
}

/// Chunk by chunk, as they come.
fn zipped(chunks: stream::BoxStream<'static, Bytes>) -> stream::BoxStream<'static, Bytes> {
    let zip = stream::unfold((chunks, Some(encoder())), |(mut chunks, encoder)| async move {
        let mut encoder = encoder?;
        loop {
            let Some(chunk) = chunks.next().await else {
                let last = encoder.finish().expect("writing into memory does not fail");
                return Some((Bytes::from(last), (chunks, None)));
            };
            encoder.write_all(&chunk).expect("writing into memory does not fail");
            let out = std::mem::take(encoder.get_mut());
            if !out.is_empty() {
                return Some((Bytes::from(out), (chunks, Some(encoder))));
            }
        }
    });
    zip.boxed()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn a_stream_unzips_to_what_it_was() {
        let chunks: Vec<Bytes> = (0..100u32).map(|i| Bytes::from(i.to_string().repeat(1000))).collect();
        let expect: Vec<u8> = chunks.concat();
        let zipped: Vec<Bytes> = zipped(stream::iter(chunks).boxed()).collect().await;
        let mut got = Vec::new();
        flate2::read::GzDecoder::new(zipped.concat().as_slice()).read_to_end(&mut got).unwrap();
        assert_eq!(got, expect);
    }
}
