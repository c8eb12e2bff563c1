//! Nodes and block devices (QEMU QMP Reference Manual, "Block devices").

use super::keys;
use crate::qemu::block::read_node;
use crate::qmp::command::{Answer, Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use tern_board::Plugged;
use tern_board::config::{Content, Drive};
use tern_board::host::blocks::{Backend, Counts, Node};
use tern_host::slow::Slow;

qapi! {
    /// Whether zeroes are written as such.
    enum DetectZeroes { Off, On, Unmap }
    /// Whether a disk works.
    enum IoStatus { Ok, Failed, Nospace }
    /// A snapshot in an image.
    struct SnapshotInfo {
        id: String, name: String, vm_state_size: i64, date_sec: i64, date_nsec: i64, vm_clock_sec: i64,
        vm_clock_nsec: i64, icount: Option<i64>,
    }
    /// What qcow2 images say of themselves.
    struct Qcow2Info {
        compat: String, lazy_refcounts: Option<bool>, corrupt: Option<bool>, refcount_bits: i64,
        compression_type: Option<String>, extended_l2: Option<bool>,
    }
    /// The same, wrapped.
    struct Qcow2Wrapped { data: Qcow2Info }
    /// What a format says of an image.
    union FormatInfo { ; by "type" as FormatKind; Qcow2(Qcow2Wrapped) as "qcow2" }
    /// An image.
    struct ImageInfo {
        filename: String, format: String, dirty_flag: Option<bool>, actual_size: Option<i64>, virtual_size: i64,
        cluster_size: Option<i64>, encrypted: Option<bool>, compressed: Option<bool>,
        backing_filename: Option<String>, full_backing_filename: Option<String>,
        backing_filename_format: Option<String>, snapshots: Option<Vec<SnapshotInfo>>,
        format_specific: Option<FormatInfo>, backing_image: Option<Box<ImageInfo>>,
    }
    /// How the host caches an image.
    struct CacheInfo { writeback: bool, direct: bool, no_flush: bool }
    /// A dirty bitmap.
    struct DirtyBitmap {
        name: Option<String>, count: i64, granularity: u32, recording: bool, busy: bool, persistent: bool,
        inconsistent: Option<bool>,
    }
    /// A node of the block graph.
    legacy NodeInfo {
        file: String, node_name as "node-name": Option<String>, ro: bool, drv: String, backing_file: Option<String>,
        backing_file_depth: i64, active: bool, encrypted: bool, detect_zeroes: DetectZeroes, bps: i64, bps_rd: i64,
        bps_wr: i64, iops: i64, iops_rd: i64, iops_wr: i64, image: ImageInfo, group: Option<String>, cache: CacheInfo,
        write_threshold: i64, dirty_bitmaps as "dirty-bitmaps": Option<Vec<DirtyBitmap>>,
    }
    /// A block device and its medium.
    legacy BlockInfo {
        device: String, qdev: Option<String>, r#type: String, removable: bool, locked: bool,
        inserted: Option<NodeInfo>, tray_open: Option<bool>, io_status as "io-status": Option<IoStatus>,
    }
    /// What a block device has done.
    legacy BlockCounts {
        rd_bytes: i64, wr_bytes: i64, zone_append_bytes: i64, unmap_bytes: i64, rd_operations: i64,
        wr_operations: i64, zone_append_operations: i64, flush_operations: i64, unmap_operations: i64,
        rd_total_time_ns: i64, wr_total_time_ns: i64, zone_append_total_time_ns: i64, flush_total_time_ns: i64,
        unmap_total_time_ns: i64, wr_highest_offset: i64, rd_merged: i64, wr_merged: i64, zone_append_merged: i64,
        unmap_merged: i64, idle_time_ns: Option<i64>, failed_rd_operations: i64, failed_wr_operations: i64,
        failed_zone_append_operations: i64, failed_flush_operations: i64, failed_unmap_operations: i64,
        invalid_rd_operations: i64, invalid_wr_operations: i64, invalid_zone_append_operations: i64,
        invalid_flush_operations: i64, invalid_unmap_operations: i64, account_invalid: bool, account_failed: bool,
        timed_stats: Vec<TimedCounts>,
    }
    /// Latencies and queue depths of a time, in nanoseconds.
    legacy TimedCounts { interval_length: i64, avg_rd_queue_depth: f64, avg_wr_queue_depth: f64 }
    /// What a block device and the nodes below it have done.
    struct BlockStats {
        device: Option<String>, qdev: Option<String>, node_name: Option<String>, stats: BlockCounts,
        parent: Option<Box<BlockStats>>, backing: Option<Box<BlockStats>>,
    }
    /// Of all nodes?
    struct BlockStatsArgs { query_nodes: Option<bool> }
    /// Without the chains of backing images?
    struct NodesArgs { flat: Option<bool> }
    /// What a place of the block graph is.
    enum GraphNodeType { BlockBackend, BlockJob, BlockDriver }
    /// A place of the block graph.
    struct GraphNode { id: u64, r#type: GraphNodeType, name: String }
    /// What one node may do with another.
    enum Permission { ConsistentRead, Write, WriteUnchanged, Resize }
    /// Who uses whom in the block graph.
    struct GraphEdge { parent: u64, child: u64, name: String, perm: Vec<Permission>, shared_perm: Vec<Permission> }
    /// The block graph.
    struct Graph { nodes: Vec<GraphNode>, edges: Vec<GraphEdge> }
    /// Who else can reach a node.
    struct Export { id: String, r#type: String, node_name: String, shutting_down: bool }
    /// A node to be made; what it takes is looked at where it is made.
    open BlockdevAdd { driver: String, node_name: Option<String> }
    /// A node by its name.
    struct NodeName { node_name: String }
    /// A new size in bytes.
    struct Resize { device: Option<String>, node_name: Option<String>, size: i64 }
    /// Limits of a drive; 0 is none.
    legacy Throttle {
        device: Option<String>, id: Option<String>, bps: i64, bps_rd: i64, bps_wr: i64, iops: i64, iops_rd: i64,
        iops_wr: i64, bps_max: Option<i64>, bps_rd_max: Option<i64>, bps_wr_max: Option<i64>, iops_max: Option<i64>,
        iops_rd_max: Option<i64>, iops_wr_max: Option<i64>, bps_max_length: Option<i64>,
        bps_rd_max_length: Option<i64>, bps_wr_max_length: Option<i64>, iops_max_length: Option<i64>,
        iops_rd_max_length: Option<i64>, iops_wr_max_length: Option<i64>, iops_size: Option<i64>,
        group: Option<String>,
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-block" [preconfig] (Empty) -> Vec<BlockInfo> = query_block;
    "query-blockstats" [preconfig] (BlockStatsArgs) -> Vec<BlockStats> = query_stats;
    "query-named-block-nodes" [preconfig] (NodesArgs) -> Vec<NodeInfo> = |vm, _| {
        Ok(vm.host.world().blocks.nodes().map(|(name, node)| node_info(name, node)).collect())
    };
    "x-debug-query-block-graph" [preconfig] (Empty) -> Graph = graph;
    "query-block-exports" [preconfig] (Empty) -> Vec<Export> = |_, _| Ok(Vec::new());
    "blockdev-add" [preconfig] (BlockdevAdd) -> Answer<Vm, Empty> = add;
    "blockdev-del" [preconfig] (NodeName) -> Empty = |vm, args| {
        vm.blockdev_del(&args.node_name)?;
        Ok(Empty {})
    };
    "block_resize" [preconfig] (Resize) -> Empty = resize;
    "block_set_io_throttle" [preconfig] (Throttle) -> Empty = throttle;
};

/// The text of a file name, or of the options that make up a node without a file.
fn shown(drive: &Drive) -> String {
    match &drive.content {
        Content::File(path) => path.display().to_string(),
        Content::Null(size) => format!("json:{{\"driver\": \"null-co\", \"size\": {size}}}"),
    }
}

fn node_info(name: &str, node: &Node) -> NodeInfo {
    let drive = &node.drive;
    let size = node.size() as i64;
    let stored = match &drive.content {
        Content::File(path) => std::fs::metadata(path).ok().map(|m| m.len() as i64),
        Content::Null(_) => Some(0),
    };
    let cache = drive.cache.as_deref().unwrap_or("writeback");
    NodeInfo {
        file: shown(drive),
        node_name: Some(name.to_owned()),
        ro: drive.read_only,
        drv: node.driver().to_owned(),
        backing_file: None,
        backing_file_depth: 0,
        active: true,
        encrypted: false,
        detect_zeroes: DetectZeroes::Off,
        bps: 0,
        bps_rd: 0,
        bps_wr: 0,
        iops: 0,
        iops_rd: 0,
        iops_wr: 0,
        image: ImageInfo {
            filename: shown(drive),
            format: node.driver().to_owned(),
            dirty_flag: None,
            actual_size: stored,
            virtual_size: size,
            cluster_size: None,
            encrypted: None,
            compressed: None,
            backing_filename: None,
            full_backing_filename: None,
            backing_filename_format: None,
            snapshots: None,
            format_specific: None,
            backing_image: None,
        },
        group: None,
        cache: CacheInfo {
            writeback: !matches!(cache, "writethrough" | "directsync"),
            direct: matches!(cache, "none" | "directsync"),
            no_flush: cache == "unsafe",
        },
        write_threshold: 0,
        dirty_bitmaps: None,
    }
}

/// What a drive's device is: has it a medium that can go, and a tray?
pub(super) fn removable(vm: &Vm, backend: &Backend) -> (bool, bool) {
    let Some(user) = &backend.user else { return (true, false) };
    let plugged = vm.board.plugged().iter().find(|p| p.path == user.path);
    let name = plugged.map_or("", |p| p.name);
    let tray = name.ends_with("-cd");
    (tray || name == "floppy" || name == "sd-card", tray)
}

/// The object that has a drive.
fn qdev(vm: &Vm, backend: &Backend) -> Option<String> {
    let path = &backend.user.as_ref()?.path;
    let plugged = vm.board.plugged().iter().find(|p| p.path == *path);
    plugged.and_then(Plugged::virtio_inside).or_else(|| Some(path.clone()))
}

fn query_block(vm: &mut Vm, _: Empty) -> Result<Vec<BlockInfo>, Error> {
    let world = vm.host.world();
    let one = |backend: &Backend| {
        let (removable, tray) = removable(vm, backend);
        let node = backend.node.as_deref().and_then(|name| Some((name, world.blocks.node(name)?)));
        let (open, locked) = backend.tray();
        BlockInfo {
            device: backend.id.clone(),
            qdev: qdev(vm, backend),
            r#type: "unknown".to_owned(),
            removable,
            locked,
            inserted: node.map(|(name, node)| node_info(name, node)),
            tray_open: tray.then_some(open),
            io_status: backend.user.as_ref().map(|_| IoStatus::Ok),
        }
    };
    Ok(world.blocks.backends().iter().map(one).collect())
}

fn counts(c: Counts, accounts: bool) -> BlockCounts {
    let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    BlockCounts {
        rd_bytes: n(c.read_bytes),
        wr_bytes: n(c.write_bytes),
        zone_append_bytes: 0,
        unmap_bytes: n(c.discard_bytes),
        rd_operations: n(c.reads),
        wr_operations: n(c.writes),
        zone_append_operations: 0,
        flush_operations: n(c.flushes),
        unmap_operations: n(c.discards),
        rd_total_time_ns: 0,
        wr_total_time_ns: 0,
        zone_append_total_time_ns: 0,
        flush_total_time_ns: 0,
        unmap_total_time_ns: 0,
        wr_highest_offset: 0,
        rd_merged: 0,
        wr_merged: 0,
        zone_append_merged: 0,
        unmap_merged: 0,
        idle_time_ns: None,
        // Failures are counted together.
        failed_rd_operations: n(c.failed),
        failed_wr_operations: 0,
        failed_zone_append_operations: 0,
        failed_flush_operations: 0,
        failed_unmap_operations: 0,
        invalid_rd_operations: 0,
        invalid_wr_operations: 0,
        invalid_zone_append_operations: 0,
        invalid_flush_operations: 0,
        invalid_unmap_operations: 0,
        account_invalid: accounts,
        account_failed: accounts,
        timed_stats: Vec::new(),
    }
}

fn query_stats(vm: &mut Vm, args: BlockStatsArgs) -> Result<Vec<BlockStats>, Error> {
    let world = vm.host.world();
    let stats = |node_name: Option<&str>, stats| BlockStats {
        device: None,
        qdev: None,
        node_name: node_name.map(str::to_owned),
        stats,
        parent: None,
        backing: None,
    };
    if args.query_nodes == Some(true) {
        // What goes through a node is counted where its drive is.
        let of =
            |name: &str| world.blocks.backends().iter().find(|b| b.node.as_deref() == Some(name)).map(Backend::counts);
        let nodes = world.blocks.nodes();
        return Ok(nodes.map(|(name, _)| stats(Some(name), counts(of(name).unwrap_or_default(), false))).collect());
    }
    let drive = |b: &Backend| BlockStats {
        device: Some(b.id.clone()),
        qdev: qdev(vm, b),
        ..stats(b.node.as_deref(), counts(b.counts(), true))
    };
    Ok(world.blocks.backends().iter().map(drive).collect())
}

fn graph(vm: &mut Vm, _: Empty) -> Result<Graph, Error> {
    let world = vm.host.world();
    let mut graph = Graph { nodes: Vec::new(), edges: Vec::new() };
    for (id, (name, _)) in (1..).zip(world.blocks.nodes()) {
        graph.nodes.push(GraphNode { id, r#type: GraphNodeType::BlockDriver, name: name.to_owned() });
    }
    for backend in world.blocks.backends() {
        let id = graph.nodes.len() as u64 + 1;
        let child = graph
            .nodes
            .iter()
            .find(|n| n.r#type == GraphNodeType::BlockDriver && Some(&n.name) == backend.node.as_ref());
        if let Some(child) = child.map(|c| c.id) {
            let perm = vec![Permission::ConsistentRead, Permission::Write];
            let shared_perm = vec![Permission::ConsistentRead, Permission::WriteUnchanged, Permission::Resize];
            graph.edges.push(GraphEdge { parent: id, child, name: "root".to_owned(), perm, shared_perm });
        }
        graph.nodes.push(GraphNode { id, r#type: GraphNodeType::BlockBackend, name: backend.id.clone() });
    }
    Ok(graph)
}

fn add(vm: &mut Vm, args: BlockdevAdd) -> Result<Answer<Vm, Empty>, Error> {
    if args.node_name.is_none() {
        return Err(Error::new("'node-name' must be specified for the root node"));
    }
    if args.driver == "blkdebug" {
        return add_with_faults(args);
    }
    open(vm, args)?;
    Ok(Answer::Now(Empty {}))
}

fn open(vm: &mut Vm, mut args: BlockdevAdd) -> Result<(), Error> {
    if let Some(serde_json::Value::String(name)) = args.rest.get_mut("filename")
        && let Some(path) = vm.qmp.fds.path(name)
    {
        *name = path;
    }
    let keys = keys(args.rest, &[("driver", Some(&args.driver)), ("node-name", args.node_name.as_deref())])?;
    let medium = {
        let world = vm.host.world();
        read_node(keys, &|name| world.blocks.node(name).map(|n| n.drive.clone()))?
    };
    Ok(vm.blockdev_add(&medium)?)
}

/// Longest file of rules, in bytes.
const MOST_RULES: u64 = 1 << 20;

/// A node that fails as its rules say.  There are no rules yet that tern knows: without any it is its image.
fn add_with_faults(args: BlockdevAdd) -> Result<Answer<Vm, Empty>, Error> {
    let mut rest = args.rest;
    let mut image = match rest.remove("image") {
        Some(serde_json::Value::Object(image)) => image,
        Some(_) => return Err(Error::new("blkdebug: only an image of its own is supported")),
        None => return Err(Error::new("Parameter 'image' is missing")),
    };
    let config = rest.remove("config");
    if let Some(key) = rest.keys().next() {
        return Err(Error::new(format!("blkdebug: '{key}' is not supported")));
    }
    let driver = match image.remove("driver") {
        Some(serde_json::Value::String(driver)) => driver,
        _ => return Err(Error::new("Parameter 'image.driver' is missing")),
    };
    let mut image = Some(BlockdevAdd { driver, node_name: args.node_name, rest: image });
    let mut finish = move |vm: &mut Vm| match image.take() {
        Some(image) => open(vm, image).map(|()| Empty {}),
        None => Err(Error::new("blkdebug: it is there already")),
    };
    let Some(config) = config else {
        return Ok(Answer::Later(Box::new(move |vm| Some(finish(vm)))));
    };
    let serde_json::Value::String(config) = config else {
        return Err(Error::new("Invalid parameter type for 'config', expected: string"));
    };
    let mut file = Slow::read(config.clone().into(), MOST_RULES);
    Ok(Answer::Later(Box::new(move |vm| {
        Some(match file.poll()? {
            Err(why) => Err(Error::new(format!("Could not read blkdebug config file: {why}"))),
            Ok(text) if text.split(|b| *b == b'\n').all(is_blank) => finish(vm),
            Ok(_) => Err(Error::new(format!("{config}: rules of blkdebug are not supported"))),
        })
    })))
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().first().is_none_or(|b| *b == b'#')
}

fn resize(vm: &mut Vm, args: Resize) -> Result<Empty, Error> {
    let name = match (args.device, args.node_name) {
        (Some(name), None) | (None, Some(name)) => name,
        _ => return Err(Error::new("Need exactly one of 'device' and 'node-name'")),
    };
    let size = u64::try_from(args.size).map_err(|_| Error::new("Parameter 'size' expects a >0 size"))?;
    vm.block_resize(&name, size)?;
    Ok(Empty {})
}

fn throttle(vm: &mut Vm, args: Throttle) -> Result<Empty, Error> {
    let name = args.id.clone().or(args.device.clone()).unwrap_or_default();
    if vm.host.world().blocks.drive_of(&name).is_none() {
        return Err(super::media::no_device(&name));
    }
    match [args.bps, args.bps_rd, args.bps_wr, args.iops, args.iops_rd, args.iops_wr] == [0; 6] {
        true => Ok(Empty {}),
        false => Err(Error::new("limits of drives are not built yet, only 0")),
    }
}
