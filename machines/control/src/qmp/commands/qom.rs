//! The tree of objects, devices and objects that come and go (QEMU QMP Reference Manual, "QEMU Object Model", "Device
//! infrastructure").

use super::keys;
use super::net::Id;
use crate::qemu::{device, net::read_object};
use crate::qmp::command::{Class, Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::qom::{self, derives, device_properties, type_properties};
use crate::vm::{DeviceError, Vm};
use serde_json::{Map, Value};
use tern_board::host::objects;
use tern_devices::model::{self, Prop, PropKind};

qapi! {
    /// An object.
    struct Path { path: String }
    /// A property of an object.
    struct Property { path: String, property: String }
    /// A property's new value.
    struct Set { path: String, property: String, value: Value }
    /// What a property is.
    struct PropertyInfo {
        name: String, r#type: String, description: Option<String>, default_value: Option<Value>,
    }
    /// Which types.
    struct TypesArgs { implements: Option<String>, r#abstract: Option<bool> }
    /// A type.
    struct TypeInfo { name: String, r#abstract: Option<bool>, parent: Option<String> }
    /// A type by its name.
    struct TypeName { typename: String }
    /// An object to be made; what it takes is looked at where it is made.
    open ObjectAdd { qom_type: String, id: String }
    /// A device to be made; what it takes is looked at where it is made.
    open DeviceAdd { driver: String, bus: Option<String>, id: Option<String> }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "qom-list" [preconfig] (Path) -> Vec<PropertyInfo> = |vm, args| {
        Ok(vm.qom_list(&args.path).map_err(classified)?.into_iter().map(shown).collect())
    };
    "qom-get" [preconfig] (Property) -> Value = |vm, args| {
        vm.qom_get(&args.path, &args.property).map_err(classified)
    };
    "qom-set" [preconfig] (Set) -> Empty = |vm, args| {
        vm.qom_set(&args.path, &args.property, &args.value).map_err(classified)?;
        Ok(Empty {})
    };
    "qom-list-types" [preconfig] (TypesArgs) -> Vec<TypeInfo> = list_types;
    "qom-list-properties" [preconfig] (TypeName) -> Vec<PropertyInfo> = |vm, args| {
        let props = type_properties(vm.isa(), &args.typename).ok_or_else(|| no_class(&args.typename))?;
        Ok(props.into_iter().map(shown).collect())
    };
    "device-list-properties" (TypeName) -> Vec<PropertyInfo> = list_device;
    "object-add" [preconfig] (ObjectAdd) -> Empty = object_add;
    "object-del" [preconfig] (Id) -> Empty = |vm, args| {
        vm.object_del(&args.id)?;
        Ok(Empty {})
    };
    "device_add" (DeviceAdd) -> Empty = device_add;
    "device_del" (Id) -> Empty = |vm, args| match vm.device_del(&args.id) {
        Ok(()) => Ok(Empty {}),
        Err(why @ DeviceError::NotFound(_)) => Err(Error::of(Class::DeviceNotFound, why.to_string())),
        Err(DeviceError::Other(why)) => Err(Error::new(why)),
    };
    "device-sync-config" (Id) -> Empty = |vm, args| {
        let device = vm.board.find(&args.id).ok_or_else(|| classified(format!("Device '{}' not found", args.id)))?;
        Err(Error::new(format!("device-sync-config is not supported for '{}'", device.name)))
    };
};

/// Of the kind that clients may tell apart, if it says that something is not there.
fn classified(text: String) -> Error {
    let missing = text.starts_with("Device '") && text.ends_with("' not found");
    if missing { Error::of(Class::DeviceNotFound, text) } else { Error::new(text) }
}

fn no_class(name: &str) -> Error {
    Error::of(Class::DeviceNotFound, format!("Class '{name}' not found"))
}

fn shown(property: qom::Property) -> PropertyInfo {
    PropertyInfo {
        name: property.name,
        r#type: property.kind,
        description: Some(property.about).filter(|about| !about.is_empty()),
        default_value: property.default,
    }
}

fn list_types(vm: &mut Vm, args: TypesArgs) -> Result<Vec<TypeInfo>, Error> {
    let all = qom::types(vm.isa());
    let from = args.implements.as_deref().unwrap_or("object");
    let abstracts = args.r#abstract.unwrap_or(false);
    let wanted = all.iter().filter(|t| (abstracts || !t.is_abstract) && derives(&all, &t.name, from));
    Ok(wanted
        .map(|t| TypeInfo { name: t.name.clone(), r#abstract: t.is_abstract.then_some(true), parent: t.parent.clone() })
        .collect())
}

fn list_device(vm: &mut Vm, args: TypeName) -> Result<Vec<PropertyInfo>, Error> {
    let name = &args.typename;
    let all = qom::types(vm.isa());
    if !all.iter().any(|t| t.name == *name) {
        return Err(Error::of(Class::DeviceNotFound, format!("Device '{name}' not found")));
    }
    let props = device_properties(vm.isa(), name);
    let props = props.ok_or_else(|| Error::new("Parameter 'typename' expects a non-abstract device type"))?;
    Ok(props.into_iter().map(shown).collect())
}

/// Values are of the JSON type that a property has: text that reads as a number is none.
fn typed(rest: &mut Map<String, Value>, prop: impl Fn(&str) -> Option<Prop>) -> Result<(), Error> {
    for (name, value) in rest {
        let Some(prop) = prop(name) else { continue };
        let wants = |what: &str| Err(Error::new(format!("Invalid parameter type for '{name}', expected: {what}")));
        let expects = |what: &str| Err(Error::new(format!("Parameter '{name}' expects {what}")));
        match (prop.kind, &*value) {
            (PropKind::Bool(_), Value::Bool(_)) | (PropKind::Signed(_), Value::Number(_)) => {}
            (PropKind::Bool(_), _) => return wants("boolean"),
            (PropKind::Signed(_), _) => return wants("integer"),
            (PropKind::Number(..) | PropKind::Size(_), v) if v.is_u64() => {}
            (PropKind::Number(..) | PropKind::Size(_), _) => return expects("uint64"),
            // A place on the PCI bus as a number: device and function.
            (_, Value::Number(n)) if name == "addr" => match n.as_u64().filter(|n| *n < 256) {
                Some(n) => *value = Value::String(format!("{:x}.{:x}", n >> 3, n & 7)),
                None => return expects("a value between 0 and 255"),
            },
            (PropKind::Only(_) | PropKind::Choice(_), Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
            (_, Value::String(_)) => {}
            _ => return wants("string"),
        }
    }
    Ok(())
}

fn object_add(vm: &mut Vm, mut args: ObjectAdd) -> Result<Empty, Error> {
    if let Some(kind) = objects::kind(&args.qom_type) {
        if let Some(name) = args.rest.keys().find(|name| !kind.props.iter().any(|p| p.name == **name)) {
            return Err(Error::new(format!("Parameter '{name}' is unexpected")));
        }
        if kind.props.iter().any(|p| p.name == "size") && !args.rest.contains_key("size") {
            return Err(Error::new("Parameter 'size' is missing"));
        }
        typed(&mut args.rest, |name| kind.props.iter().find(|p| p.name == name).copied())?;
    }
    let object = read_object(keys(args.rest, &[("qom-type", Some(&args.qom_type)), ("id", Some(&args.id))])?)?;
    vm.object_add(object)?;
    Ok(Empty {})
}

fn device_add(vm: &mut Vm, mut args: DeviceAdd) -> Result<Empty, Error> {
    if let Some(kind) = model::find(&args.driver) {
        typed(&mut args.rest, |name| kind.props().find(|p| p.name == name).copied())?;
    }
    let known = [("driver", Some(args.driver.as_str())), ("bus", args.bus.as_deref()), ("id", args.id.as_deref())];
    let config = device::read(keys(args.rest, &known)?)?;
    vm.device_add(&config)?;
    Ok(Empty {})
}
