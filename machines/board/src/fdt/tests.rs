//! Tests of device trees.

use super::*;

fn sample() -> Tree {
    let mut tree = Tree { reserved: vec![(0x8000_0000, 0x4_0000)], boot_cpu: 3, ..Tree::default() };
    tree.root.cells("#address-cells", &[2]).string("model", "a \"model\"").flag("ranges");
    let soc = tree.root.child("soc");
    soc.child("serial@10000000").strings("compatible", &["ns16550a", "ns16550"]).wide("reg", &[0x1000_0000, 0x100]);
    soc.child("empty");
    soc.child("serial@10000000").set("odd", [1, 2, 3]);
    tree
}

#[test]
fn what_is_written_is_read() {
    let tree = sample();
    let blob = tree.blob();
    assert_eq!(Tree::parse(&blob), Ok(tree.clone()));
    assert_eq!(u32::from_be_bytes(*blob[4..].first_chunk().unwrap()) as usize, blob.len());
    let longer = [blob, vec![0xff; 100]].concat();
    assert_eq!(Tree::parse(&longer), Ok(tree));
}

#[test]
fn properties_are_replaced_and_found() {
    let mut tree = sample();
    tree.root.cells("#address-cells", &[1]);
    assert_eq!(tree.root.get("#address-cells"), Some(&[0, 0, 0, 1][..]));
    assert_eq!(tree.root.find("/soc/serial@10000000").unwrap().get("odd"), Some(&[1, 2, 3][..]));
    assert!(tree.root.find("soc/nothing").is_none());
    tree.root.remove("ranges");
    assert_eq!(tree.root.get("ranges"), None);
    assert_eq!(tree.root.child("soc").children.len(), 2);
}

#[test]
fn text_is_source() {
    let expected = "/dts-v1/;\n\n/memreserve/ 0x80000000 0x40000;\n/ {\n\t#address-cells = <0x2>;\n\tmodel = \"a \\\"model\\\"\";\n\tranges;\n\
        \tsoc {\n\t\tserial@10000000 {\n\t\t\tcompatible = \"ns16550a\", \"ns16550\";\n\t\t\treg = <0x0 0x10000000 0x0 0x100>;\n\
        \t\t\todd = [01 02 03];\n\t\t};\n\t\tempty {\n\t\t};\n\t};\n};\n";
    assert_eq!(sample().text(), expected);
}

/// The blob with 32-bit field `n` of its header changed.
fn with_field(n: usize, value: u32) -> Vec<u8> {
    let mut blob = sample().blob();
    blob[4 * n..4 * n + 4].copy_from_slice(&value.to_be_bytes());
    blob
}

#[test]
fn broken_blobs_are_refused() {
    assert_eq!(Tree::parse(b""), Err(FdtError::Short("header")));
    assert_eq!(Tree::parse(&[0; 40]), Err(FdtError::Magic));
    assert_eq!(Tree::parse(&with_field(1, 1 << 30)), Err(FdtError::Size(1 << 30)));
    assert_eq!(Tree::parse(&with_field(1, 1 << 20)), Err(FdtError::Short("total size")));
    assert_eq!(Tree::parse(&with_field(5, 3)), Err(FdtError::Version(3)));
    assert_eq!(Tree::parse(&with_field(6, 18)), Err(FdtError::Version(17)));
    assert_eq!(Tree::parse(&with_field(2, u32::MAX)), Err(FdtError::Short("structure block")));
    assert_eq!(Tree::parse(&with_field(8, u32::MAX)), Err(FdtError::Short("strings block")));
    assert_eq!(Tree::parse(&with_field(4, u32::MAX)), Err(FdtError::Short("reservation block")));
    assert_eq!(Tree::parse(&with_field(9, 8)), Err(FdtError::Structure(8)));
    let mut deep = Node::new("x");
    for _ in 0..70 {
        let mut outer = Node::new("x");
        outer.push(deep);
        deep = outer;
    }
    assert_eq!(Tree::parse(&Tree { root: deep, ..Tree::default() }.blob()), Err(FdtError::Depth));
    let mut nameless = sample();
    nameless.root.child("soc").name = "a\u{e9}".to_owned();
    assert!(matches!(Tree::parse(&nameless.blob()), Err(FdtError::Name(_))));
}

#[test]
fn damaged_blobs_do_no_harm() {
    let blob = sample().blob();
    for n in 0..blob.len() {
        assert!(Tree::parse(&blob[..n]).is_err(), "{n}");
        for bit in 0..8 {
            let mut damaged = blob.clone();
            damaged[n] ^= 1 << bit;
            if let Ok(tree) = Tree::parse(&damaged) {
                assert_eq!(Tree::parse(&tree.blob()), Ok(tree), "byte {n}, bit {bit}");
            }
        }
    }
}
