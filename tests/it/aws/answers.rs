//! Answers of AWS that the emulator has less of, as the service's documentation writes them.

use super::faults::{reply, server_of, world};
use super::text;
use crate::support::gated::{field, items};
use starr::value::Value;

#[tokio::test]
async fn a_stopped_task_says_when_and_why_each_container_ended() {
    let (url, _) = server_of(|_, head, _| {
        let head = head.to_ascii_lowercase();
        Some(if head.contains(".listtasks") {
            reply(200, "", r#"{"taskArns": ["arn:aws:ecs:eu-west-1:123456789012:task/web/1"]}"#)
        } else {
            assert!(head.contains(".describetasks"), "{head}");
            let body = r#"{"tasks": [{
                "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/web/1", "lastStatus": "STOPPED",
                "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
                "stoppedAt": 1795316399.25,
                "containers": [
                    {"name": "web", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
                    {"name": "sidecar", "lastStatus": "STOPPED"}
                ]}], "failures": []}"#;
            reply(200, "", body)
        })
    })
    .await;
    let cluster = [("cluster", text("web")), ("service", text("api"))];
    let stopped = items(&world(&url).read("tasks.stopped", &cluster).await);
    let [task] = &stopped[..] else { panic!("{stopped:?}") };
    let Value::Time(at) = field(task, "at") else {
        panic!("{task:?}")
    };
    assert_eq!(at.as_millisecond(), 1_795_316_399_250);
    assert_eq!(items(&field(task, "exits")), [Value::Int(137)]);
    let containers = items(&field(task, "containers"));
    assert_eq!(field(&containers[0], "name"), text("web"));
    assert_eq!(field(&containers[0], "exit"), Value::Int(137));
    assert_eq!(
        field(&containers[0], "reason"),
        text("OutOfMemoryError: Container killed due to memory usage")
    );
    assert_eq!(field(&containers[1], "exit"), Value::None, "it has no code");
}

#[tokio::test]
async fn an_entry_of_an_acl_says_the_type_and_the_code_of_icmp() {
    let (url, _) = server_of(|_, _, body| {
        assert!(body.contains("Action=DescribeNetworkAcls"), "{body}");
        let entry = |number: u32, egress: bool, protocol: &str, more: &str| {
            format!(
                "<item><ruleNumber>{number}</ruleNumber><protocol>{protocol}</protocol><ruleAction>allow</ruleAction><egress>{egress}</egress>\
                 <cidrBlock>0.0.0.0/0</cidrBlock>{more}</item>"
            )
        };
        let entries = [
            entry(200, false, "1", "<icmpTypeCode><type>3</type><code>4</code></icmpTypeCode>"),
            entry(100, false, "6", "<portRange><from>443</from><to>444</to></portRange>"),
            entry(300, false, "58", "<icmpTypeCode><type>-1</type><code>-1</code></icmpTypeCode>"),
            entry(50, true, "50", ""),
        ]
        .concat();
        let body = format!(
            "<DescribeNetworkAclsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId><networkAclSet><item>\
             <networkAclId>acl-1</networkAclId><entrySet>{entries}</entrySet></item></networkAclSet></DescribeNetworkAclsResponse>"
        );
        Some(reply(200, "", &body).replace("application/x-amz-json-1.1", "text/xml"))
    })
    .await;
    let entries = items(&world(&url).read("acls.entries", &[("subnet", text("subnet-1"))]).await);
    let names = ["number", "protocol", "from", "to", "icmp_type", "icmp_code"];
    let told: Vec<_> = entries
        .iter()
        .map(|entry| names.map(|name| field(entry, name)))
        .collect();
    let int = Value::Int;
    let none = || Value::None;
    assert_eq!(
        told,
        [
            [int(100), text("tcp"), int(443), int(444), none(), none()],
            [int(200), text("icmp"), none(), none(), int(3), int(4)],
            [int(300), text("icmpv6"), none(), none(), int(-1), int(-1)],
            [int(50), text("50"), none(), none(), none(), none()],
        ]
    );
}
