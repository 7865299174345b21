//! A connection of which nothing but its reading side wakes anybody, unless a write has to wait.
//!
//! The kernel tells of room for writing each time the other side has read something: whoever listens for that is woken after
//! every message that it sends, for nothing.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use containerd_client::tonic::codegen::Service;
use containerd_client::tonic::codegen::http::Uri;
use containerd_client::tonic::transport::{Channel, Endpoint, Error};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: UnixStream,
    /// It, for reading: a pipe is what can be waited for in one direction.
    reader: pipe::Receiver,
    /// It, while a write waits.
    writer: Option<pipe::Sender>,
}

/// Connects to a gRPC service at this path, and again whenever that connection ends.
///
/// # Errors
/// When nobody answers there.
pub(crate) async fn connect(path: &Path) -> Result<Channel, Error> {
    // The address is not used.
    let endpoint = Endpoint::from_static("http://[::]");
    endpoint.connect_with_connector(Connector(path.into())).await
}

struct Connector(PathBuf);

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Socket>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move {
            let stream = tokio::net::UnixStream::connect(path).await?;
            Socket::new(stream.into_std()?).map(TokioIo::new)
        })
    }
}

impl Socket {
    /// # Errors
    /// When the runtime of this thread can't wait for it.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Socket> {
        stream.set_nonblocking(true)?;
        let reader = pipe::Receiver::from_owned_fd_unchecked(stream.try_clone()?.into())?;
        Ok(Socket {
            stream,
            reader,
            writer: None,
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.writer.is_none() {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => pipe::Sender::from_owned_fd_unchecked(self.stream.try_clone()?.into())?,
        };
        let written = Pin::new(&mut writer).poll_write(context, bytes);
        if written.is_pending() {
            self.writer = Some(writer);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, RawFd};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// For what the kernel wakes whoever waits for this descriptor, of all that this process waits with: a runtime has two descriptors
    /// for one epoll.
    fn wakes(waited_for: RawFd) -> Vec<u32> {
        let mut all = Vec::new();
        for file in std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
            // It may be closed meanwhile.
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            for line in text.lines().filter_map(|line| line.strip_prefix("tfd:")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words[0].parse() == Ok(waited_for) {
                    all.push(u32::from_str_radix(words[2], 16).unwrap());
                }
            }
        }
        all
    }

    #[tokio::test]
    async fn room_for_writing_wakes_nobody_unless_a_write_waits_for_it() {
        const EPOLLIN: u32 = 1;
        const EPOLLOUT: u32 = 4;
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut one = Socket::new(one).unwrap();
        let reader = one.reader.as_raw_fd();
        one.write_all(b"asked").await.unwrap();
        std::io::Read::read_exact(&mut other, &mut [0; 5]).unwrap();
        let of_reader = wakes(reader);
        assert!(
            of_reader
                .iter()
                .all(|events| events & (EPOLLIN | EPOLLOUT) == EPOLLIN),
            "{of_reader:x?}"
        );
        assert!(!of_reader.is_empty());
        assert!(one.writer.is_none() && wakes(one.stream.as_raw_fd()).is_empty());

        // Until the kernel has no room.
        let waker = std::task::Waker::noop();
        let context = &mut Context::from_waker(waker);
        while Pin::new(&mut one).poll_write(context, &[0; 4096]).is_ready() {}
        let of_writer = wakes(one.writer.as_ref().unwrap().as_raw_fd());
        assert!(
            of_writer.iter().all(|events| events & EPOLLOUT != 0),
            "{of_writer:x?}"
        );
        assert!(!of_writer.is_empty());
    }

    #[tokio::test]
    async fn what_is_written_comes_whole_however_slowly_it_is_read_and_an_end_is_seen() {
        let (one, other) = UnixStream::pair().unwrap();
        let (one, mut other) = (
            Socket::new(one).unwrap(),
            tokio::net::UnixStream::from_std({
                other.set_nonblocking(true).unwrap();
                other
            })
            .unwrap(),
        );
        let (mut reader, mut writer) = tokio::io::split(one);
        // More than fits into the kernel's buffers, several times.
        let sent: Vec<u8> = (0..4u32 << 20).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer
        });
        let mut received = vec![0; expected.len()];
        other.read_exact(&mut received).await.unwrap();
        assert!(received == expected);
        let mut writer = writing.await.unwrap();

        // Requests and answers by turns, the last of which ends with the connection.
        let mut buffer = [0; 8];
        for number in 0..100u8 {
            other.write_all(&[number; 8]).await.unwrap();
            reader.read_exact(&mut buffer).await.unwrap();
            assert_eq!(buffer, [number; 8]);
            writer.write_all(&buffer).await.unwrap();
            other.read_exact(&mut buffer).await.unwrap();
        }
        other.write_all(&[1; 3]).await.unwrap();
        drop(other);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [1; 3]);
        let failed = writer.write_all(&[2; 8]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
    }
}
