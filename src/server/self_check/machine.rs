//! What Linux says of this machine: who listens, and what memory the container has. What cannot be read is not
//! known, and nothing follows from it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where groups of processes are bounded, by the kernel's own convention (cgroups(7)).
const GROUPS: &str = "/sys/fs/cgroup";

/// The addresses in this network namespace at which somebody listens on `port`.
///
/// The tables have a line for every connection of the machine, of which there may be a hundred thousand: they are read
/// line by line, and what listens is kept (proc(5), `/proc/net/tcp`).
pub(super) fn listening(port: u16) -> Vec<SocketAddr> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| File::open(path).ok());
    let lines = tables.flat_map(|table| BufReader::new(table).lines().map_while(Result::ok));
    lines.filter_map(|line| listener(&line)).filter(|address| address.port() == port).collect()
}

/// The address of a line, if it is of a socket that listens.
fn listener(line: &str) -> Option<SocketAddr> {
    /// `TCP_LISTEN`
    const LISTENS: &str = "0A";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    if state != LISTENS {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    // Words of four bytes, each as the machine has it in memory.
    let word = |digits: &[u8]| {
        let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() == 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let words: Option<Vec<_>> = address.as_bytes().chunks(8).map(word).collect();
    let address = match words?.as_slice() {
        [one] => IpAddr::from(*one),
        &[one, two, three, four] => {
            let bytes: [u8; 16] = [one, two, three, four].concat().try_into().ok()?;
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// The memory in bytes that this process and its neighbours in the container may have; `None` if that is not
/// bounded, or not known.
pub(super) fn granted_memory() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    granted(Path::new(GROUPS), &own)
}

/// The least of what is granted to the group of the process and to those around it. In a container the groups
/// are most often shown from its own on, and the path of `own` is then `/`.
fn granted(groups: &Path, own: &str) -> Option<u64> {
    let mut files = vec![groups.join("memory.max"), groups.join("memory/memory.limit_in_bytes")];
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            // Version 2 (`0::/path`), and the memory controller of version 1.
            "" => (groups.to_owned(), "memory.max"),
            "memory" => (groups.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let own = PathBuf::from(path);
        let around = own.ancestors().filter_map(|path| path.strip_prefix("/").ok());
        files.extend(around.map(|path| root.join(path).join(file)));
    }
    // Without a bound it is `max`, or some number beyond all memory.
    let bound = |file: PathBuf| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    files.into_iter().filter_map(bound).min().filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_tables_are_read() {
        let listens = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        assert_eq!(listener(listens), Some("127.0.0.1:8080".parse().unwrap()));
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0";
        assert_eq!(listener(six), Some("[::1]:80".parse().unwrap()));
        for other in [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt",
            &listens.replace(" 0A ", " 01 "),
            &listens.replace("0100007F", "0100"),
            &listens.replace(":1F90", ""),
            "",
        ] {
            assert_eq!(listener(other), None, "{other}");
        }
    }

    #[test]
    fn a_socket_that_listens_is_found_by_its_port_and_with_its_address() {
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let socket = TcpListener::bind((address, 0)).unwrap();
            let bound = socket.local_addr().unwrap();
            assert_eq!(listening(bound.port()), [bound]);
        }
    }

    #[test]
    fn the_least_memory_that_any_group_grants_counts() {
        let folder = std::env::temp_dir().join(format!("portvakt-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(granted(&folder, "0::/a/b"), None);
        write("a/memory.max", "max\n");
        assert_eq!(granted(&folder, "0::/a/b"), None);
        write("a/b/memory.max", "67108864\n");
        assert_eq!(granted(&folder, "0::/a/b\n"), Some(64 << 20));
        write("a/memory.max", "1048576\n");
        assert_eq!(granted(&folder, "0::/a/b\n"), Some(1 << 20));
        // As in a container, where the groups are shown from its own on; and version 1, without a bound.
        write("memory.max", "2097152\n");
        assert_eq!(granted(&folder, "0::/\n"), Some(2 << 20));
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(granted(&folder, "5:cpu:/x\n4:memory:/\n"), Some(2 << 20));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(granted(&folder, ""), None);
    }
}
