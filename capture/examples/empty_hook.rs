//! Attaches an empty program to the return of every system call and waits for the end of its standard input: what the
//! bench subtracts to tell the hook's own cost from Lanner's.

use std::error::Error;
use std::io::Read as _;

use libbpf_rs::ObjectBuilder;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/empty.bpf.o"));

fn main() -> Result<(), Box<dyn Error>> {
    let object = ObjectBuilder::default().open_memory(OBJECT)?.load()?;
    let links: Vec<_> = object
        .progs_mut()
        .map(|program| program.attach())
        .collect::<Result<_, _>>()?;
    eprintln!("watches this host");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(links);
    Ok(())
}
