//! Ports of virtio-console (`console.rs`): consoles and named serial ports, children of its bus.  (virtio 1.2, 5.3)

use super::console::Port;
use crate::catalogue::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Wants};

static PROPS: &[Prop] = &[
    Prop::new("chardev", PropKind::Chardev, "what is connected to it"),
    Prop::new("nr", PropKind::Number(32, 0xffff_ffff), "its number; else the next free one"),
    Prop::new("name", PropKind::Text(""), "its name in the guest"),
];

fn build(wants: &mut Wants<'_>, console: bool) -> Result<Child, String> {
    // Its number is settled when it is plugged; whoever does that knows it then.
    let sink = wants.chardev("chardev", 0)?;
    Ok(Child::new(Port { name: wants.props.text("name").to_owned(), console, sink }))
}

const fn model(name: &'static str, about: &'static str, build: fn(&mut Wants<'_>) -> Result<Child, String>) -> Model {
    Model {
        name,
        aliases: &[],
        class: Class::Serial,
        about,
        parents: &[],
        props: PROPS,
        bus: None,
        build: Build::Child(BusKind::VirtioSerial, build),
    }
}

/// The ports.
pub static MODELS: &[Model] = &[
    Model { parents: &["virtserialport"], ..model("virtconsole", "console of a virtio serial bus", |w| build(w, true)) },
    model("virtserialport", "serial port of a virtio serial bus", |w| build(w, false)),
];
