use super::{Access, Index, Kind, SIGN, service, services};

#[test]
fn every_service_loads_and_every_line_of_it_is_read() {
    let mut operations = 0;
    for name in services() {
        let service = service(name).unwrap_or_else(|| panic!("{name} does not load"));
        let methods: Vec<_> = service.methods().collect();
        let waiters: Vec<_> = service.waiters().collect();
        assert_eq!(methods.len() + waiters.len(), service.paths().count(), "{name}");
        for number in 0..service.shape_count() {
            assert!(service.shape(number).is_some(), "{name}: shape {number}");
        }
        for method in &methods {
            for shape in [method.input, method.output].into_iter().flatten() {
                let shape = service.shape(shape).unwrap();
                assert!(
                    matches!(shape.kind, Kind::Structure { .. } | Kind::Document),
                    "{name}.{}",
                    method.path
                );
            }
        }
        for waiter in &waiters {
            assert!(service.method(&waiter.operation).is_some(), "{name}.{}", waiter.path);
        }
        assert!(service.place("eu-west-1").is_some(), "{name}");
        operations += methods.len();
    }
    assert!(
        services().count() >= 439 && operations >= 19_000,
        "{operations} operations"
    );
}

#[test]
fn levels_and_places_are_those_of_the_data() {
    let ecs = service("ecs").unwrap();
    assert_eq!(ecs.method("update_service").unwrap().access, Access::Write);
    assert_eq!(ecs.method("describe_services").unwrap().access, Access::Read);
    assert_eq!(ecs.method("list_tasks").unwrap().access, Access::List);
    assert_eq!(
        ecs.place("eu-west-1").unwrap().url,
        "https://ecs.eu-west-1.amazonaws.com"
    );
    assert_eq!(
        ecs.place("cn-north-1").unwrap().url,
        "https://ecs.cn-north-1.amazonaws.com.cn"
    );
    let iam = service("iam").unwrap().place("eu-west-1").unwrap();
    assert_eq!(
        (iam.url.as_str(), iam.signing_region.as_str()),
        ("https://iam.amazonaws.com", "us-east-1")
    );
    assert_eq!(
        ecs.resource("service", "aws", "eu-west-1", "123456789012").as_deref(),
        Some("arn:aws:ecs:eu-west-1:123456789012:service/${ClusterName}/${ServiceName}")
    );
    // What runs code or takes a message away is no look, whatever the reference says.
    assert!(!service("lambda").unwrap().method("invoke").unwrap().access.is_read());
    assert!(
        !service("sqs")
            .unwrap()
            .method("receive_message")
            .unwrap()
            .access
            .is_read()
    );
}

#[test]
fn a_broken_file_is_no_file_and_nothing_panics() {
    assert!(Index::read(b"").is_none());
    assert!(Index::read(SIGN).is_none());
    let mut longer = SIGN.to_vec();
    longer.extend([255, 255, 255, 255, 1, 2, 3]);
    assert!(Index::read(&longer).is_none());
    for at in (0..super::FILE.len()).step_by(super::FILE.len() / 50) {
        let mut file = super::FILE.to_vec();
        file[at] ^= 0x5a;
        if let Some(index) = Index::read(&file) {
            let _ = index.service(&file, "ecs").map(|service| service.methods().count());
        }
        assert!(Index::read(&super::FILE[..at.min(2000)]).is_none());
    }
}
