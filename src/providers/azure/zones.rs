//! Private DNS zones: names that lead to private endpoints only inside the networks that a zone is linked to.

use super::reads::{NETWORK, PRIVATE_ENDPOINT};
use super::shape::{self, Shape};
use super::{Azure, path};
use crate::limits::AZURE_LISTED;
use crate::provider::Call;
use crate::providers::arguments::Arguments;
use crate::providers::failure::Failure;
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

pub const ZONE: &str = "Microsoft.Network/privateDnsZones";
pub const LINK: &str = "Microsoft.Network/privateDnsZones/virtualNetworkLinks";
pub const ZONE_GROUP: &str = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups";

const ZONE_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("records", "/properties/numberOfRecordSets"),
    ("links", "/properties/numberOfVirtualNetworkLinks"),
];

const LINK_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/virtualNetworkLinkState"),
    ("network", "last:/properties/virtualNetwork/id"),
    ("registers", "yes:/properties/registrationEnabled"),
];

const ZONE_GROUP_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    (
        "zones",
        "lasts:/properties/privateDnsZoneConfigs/*/properties/privateDnsZoneId",
    ),
];

fn shape_of(kind: &str) -> Shape {
    match kind {
        ZONE => ZONE_SHAPE,
        LINK => LINK_SHAPE,
        _ => ZONE_GROUP_SHAPE,
    }
}

/// Whether two ids are of the same resource.
fn same(one: Option<&Json>, other: &str) -> bool {
    one.and_then(Json::as_str)
        .is_some_and(|one| one.eq_ignore_ascii_case(other))
}

impl Azure {
    /// The zones of a group, the links of one, or the groups of zones of an endpoint.
    pub(super) async fn zones(&self, call: &Call, kind: &str, parent: &str, until: Instant) -> Result<Value, Unknown> {
        let (found, more) = self.documents(call, kind, parent, AZURE_LISTED, until).await?;
        Ok(shape::list(call, shape_of(kind), &found, more))
    }

    fn id_of(&self, call: &Call, kind: &str, name: &str) -> Result<String, Unknown> {
        Ok(format!(
            "{}{}",
            self.group_path(self.group(call)?)?,
            path::kind(kind)?.way(name)?
        ))
    }

    /// Makes one where there is none; one of another meaning is refused.
    async fn made(
        &self,
        call: &Call,
        kind: &str,
        name: &str,
        body: Json,
        is_it: impl Fn(&Json) -> bool,
        until: Instant,
    ) -> Result<Value, Failure> {
        match self.document(call, kind, name, until).await {
            Ok(there) if is_it(&there) => return Ok(shape::record(call, shape_of(kind), &there)),
            Ok(_) => {
                return Err(Failure::definite(
                    Reason::Unparsable,
                    format!("there is a `{name}` of something else"),
                ));
            }
            Err(failure) if failure.unknown.reason == Reason::Missing => {}
            Err(failure) => return Err(Failure::from(failure.unknown)),
        }
        let ask = self.about(call, Method::PUT, path::kind(kind)?, name)?.with(body);
        let said = self.settle(&ask, until).await?;
        let now = if said.get("properties").is_some() {
            said
        } else {
            let read = self.document(call, kind, name, until).await;
            read.map_err(Failure::after_sending)?
        };
        Ok(shape::record(call, shape_of(kind), &now))
    }

    pub(super) async fn add_zone(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let zone = Arguments(call).text("zone")?;
        self.made(call, ZONE, zone, json!({"location": "global"}), |_| true, until)
            .await
    }

    pub(super) async fn link_zone(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let network = self.id_of(call, NETWORK, arguments.text("network")?)?;
        let name = format!("{}/{}", arguments.text("zone")?, arguments.text("name")?);
        // Machines of the network do not write their own names into it.
        let body = json!({"location": "global", "properties": {
            "virtualNetwork": {"id": network}, "registrationEnabled": false}});
        let is_it = |there: &Json| same(there.pointer("/properties/virtualNetwork/id"), &network);
        self.made(call, LINK, &name, body, is_it, until).await
    }

    pub(super) async fn add_zone_group(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let zone = arguments.text("zone")?;
        let id = self.id_of(call, ZONE, zone)?;
        let endpoint = arguments.text("endpoint")?;
        let name = format!("{endpoint}/{}", arguments.text("name")?);
        // Without an endpoint there is nothing to write into the zone.
        self.document(call, PRIVATE_ENDPOINT, endpoint, until).await?;
        let body = json!({"properties": {"privateDnsZoneConfigs": [
            {"name": zone.replace('.', "-"), "properties": {"privateDnsZoneId": id}}]}});
        let is_it = |there: &Json| {
            let of = "/properties/privateDnsZoneConfigs/0/properties/privateDnsZoneId";
            same(there.pointer(of), &id)
        };
        self.made(call, ZONE_GROUP, &name, body, is_it, until).await
    }
}
