//! Operations of AWS from the service models: `aws.ecs.update_service` and waits such as `aws.ecs.wait_services_stable`.

use crate::models::aws::{self, Kind, Member, Method, Service, Waiter};
use crate::provider::{Effect, Idempotence, Operation, Parameter};
use crate::value::types::ResourceType;
use crate::value::{Type, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// The provider's name.
pub const NAME: &str = "aws";

/// The parameter that says whose account in which region.
pub const ACCOUNT: &str = "account";

/// Longest wait that is the default of a waiter.
const WAIT: Duration = Duration::from_secs(600);

/// `resource Account` of `std.aws`.
static RESOURCE: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
    Arc::new(ResourceType {
        name: "Account".into(),
        fields: Vec::new(),
    })
});

/// Operations that were named, made once.
static MADE: Mutex<BTreeMap<String, Arc<Operation>>> = Mutex::new(BTreeMap::new());

/// What a path stands for.
pub enum Named {
    Method(Method),
    Waiter(Waiter, Method),
}

/// The service and the operation or wait of a path.
pub fn find(path: &str) -> Option<(Arc<Service>, Named)> {
    let (service, rest) = aws::split(path)?;
    let service = aws::service(service)?;
    let named = match service.method(rest) {
        Some(method) => Named::Method(method),
        None => {
            let waiter = service.waiter(rest)?;
            let method = service.method(&waiter.operation)?;
            Named::Waiter(waiter, method)
        }
    };
    Some((service, named))
}

/// True when the models have it and it can be called.
pub fn knows(path: &str) -> bool {
    operation(path).is_some()
}

/// What a member takes as an argument.
pub fn type_of(service: &Service, shape: usize) -> Type {
    let Some(shape) = service.shape(shape) else {
        return Type::Json;
    };
    match &shape.kind {
        Kind::Text { .. } | Kind::Blob => Type::Text,
        Kind::Integer | Kind::Long => Type::Int,
        Kind::Float | Kind::Double => Type::Float,
        Kind::Bool => Type::Bool,
        Kind::Time => Type::Time,
        Kind::List(of) => match type_of(service, of.shape) {
            Type::Json | Type::List(_) => Type::Json,
            scalar => Type::List(Box::new(scalar)),
        },
        Kind::Document | Kind::Map(..) | Kind::Structure { .. } => Type::Json,
    }
}

/// True when the value is not for the author: the engine's key, or the place where the next page begins.
pub fn is_ours(method: &Method, member: &Member) -> bool {
    member.traits.token != 0
        || method
            .pages
            .as_ref()
            .is_some_and(|pages| pages.input.contains(&member.name))
}

/// The members that an author gives, those that must be given first.
pub fn given(service: &Service, method: &Method) -> Vec<Member> {
    let mut members = service.members(method.input);
    members.retain(|member| !is_ours(method, member));
    members.sort_by_key(|member| member.traits.required == 0);
    members
}

/// Why it cannot be called: its body or its answer has no end that can be waited for.
fn streams(service: &Service, method: &Method) -> Option<&'static str> {
    let events = |members: &[Member]| members.iter().any(|member| member.traits.event_stream != 0);
    let streams = |members: &[Member]| members.iter().any(|member| member.traits.streaming != 0);
    let (input, output) = (service.members(method.input), service.members(method.output));
    if events(&input) || events(&output) {
        return Some("it speaks in a stream of events");
    }
    // What a function answers is small and whole; anything else that streams is a file.
    let whole = service.name == "lambda" && method.name == "Invoke";
    (!whole && (streams(&input) || streams(&output))).then_some("what it takes or gives is a stream")
}

/// The words for an operation that the models have and that cannot be called.
pub fn refusal(path: &str) -> Option<String> {
    let (service, named) = find(path)?;
    let Named::Method(method) = named else { return None };
    if let Some(because) = streams(&service, &method) {
        return Some(format!("`{NAME}.{path}` cannot be called: {because}"));
    }
    (!service.is_signed_with_v4() && !method.unsigned)
        .then(|| format!("`{NAME}.{path}` cannot be called: this service takes no signature that is made here"))
}

/// The operation of this path.
pub fn operation(path: &str) -> Option<Arc<Operation>> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(operation) = made.get(path) {
        return Some(Arc::clone(operation));
    }
    let (service, named) = find(path)?;
    let method = match &named {
        Named::Method(method) | Named::Waiter(_, method) => method,
    };
    if refusal(&format!("{}.{}", service.name, method.path)).is_some() {
        return None;
    }
    let waiter = match &named {
        Named::Waiter(waiter, _) => Some(waiter),
        Named::Method(_) => None,
    };
    let operation = Arc::new(make(&service, method, waiter));
    made.insert(path.to_owned(), Arc::clone(&operation));
    Some(operation)
}

fn make(service: &Service, method: &Method, waiter: Option<&Waiter>) -> Operation {
    let mut params = vec![Parameter {
        name: ACCOUNT.into(),
        ty: Type::Resource(Arc::clone(&RESOURCE)),
        default: None,
    }];
    for member in given(service, method) {
        let ty = type_of(service, member.shape);
        let required = member.traits.required != 0;
        params.push(Parameter {
            name: member.argument().into(),
            ty: if required { ty } else { Type::Optional(Box::new(ty)) },
            default: (!required).then_some(Value::None),
        });
    }
    let reads = method.access.is_read() || waiter.is_some();
    let keyed = service
        .members(method.input)
        .iter()
        .any(|member| member.traits.token != 0);
    Operation {
        provider: NAME.into(),
        path: format!(
            "{}.{}",
            service.name,
            waiter.map_or(&method.path, |waiter| &waiter.path)
        )
        .into(),
        effect: if reads { Effect::Read } else { Effect::Change },
        params,
        result: match (waiter, reads, method.output) {
            (Some(_), ..) => Type::Bool,
            (None, false, None) => Type::Nothing,
            (None, ..) => Type::Json,
        },
        idempotence: match (reads, keyed) {
            (true, _) => Idempotence::Read,
            (false, true) => Idempotence::Keyed,
            (false, false) => Idempotence::Unrepeatable,
        },
        heavy: false,
        within: match waiter {
            Some(waiter) => Duration::from_secs(waiter.delay.saturating_mul(waiter.attempts)).min(WAIT),
            None if reads => Duration::from_secs(30),
            None => Duration::from_secs(300),
        },
        doc: doc(service, method, waiter),
    }
}

fn doc(service: &Service, method: &Method, waiter: Option<&Waiter>) -> String {
    let what = format!("{} of {}", method.name, service.full_name());
    match waiter {
        Some(waiter) => format!(
            "Waits for {} by asking {what} every {} s: true when it is reached, false when it no longer can be.",
            waiter.name, waiter.delay
        ),
        None => format!(
            "{what}; level of access: {}{}{}.",
            method.access.word(),
            if method.pages.is_some() { "; all pages" } else { "" },
            if method.deprecated { "; deprecated" } else { "" },
        ),
    }
}

/// Arguments of a typed look that stand under the same names in what it gives, unchanged.
pub fn echoed(path: &str) -> &'static [&'static str] {
    match path {
        "services.get" => &[ACCOUNT, "cluster", "name"],
        "tables.get" | "alarms.get" => &[ACCOUNT, "name"],
        _ => &[],
    }
}

/// What a path may have meant: the operations of the service it names, or the names of services.
pub fn candidates(path: &str) -> Vec<String> {
    let (front, rest) = path.split_once('.').unwrap_or((path, ""));
    match aws::service(front) {
        Some(service) => service.paths().map(|rest| format!("{front}.{rest}")).collect(),
        // Only services that have it: `ecz.list_clusters` means ECS, not EC2.
        None => aws::services()
            .filter(|service| front.len().abs_diff(service.len()) <= 1 && front.get(..1) == service.get(..1))
            .filter(|service| aws::service(service).is_some_and(|service| service.method(rest).is_some()))
            .map(|service| format!("{service}.{rest}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{operation, refusal};
    use crate::provider::{Effect, Idempotence};
    use crate::value::Type;

    #[test]
    fn operations_are_made_of_the_models() {
        let update = operation("ecs.update_service").unwrap();
        assert_eq!((update.effect, &*update.capability()), (Effect::Change, "aws.ecs"));
        let param = |name: &str| {
            update
                .params
                .iter()
                .find(|param| &*param.name == name)
                .unwrap()
                .ty
                .to_string()
        };
        assert_eq!(
            [
                param("account"),
                param("service"),
                param("desiredCount"),
                param("loadBalancers")
            ],
            ["Account", "Text", "Int?", "Json?"]
        );
        assert_eq!(update.idempotence, Idempotence::Unrepeatable);
        let describe = operation("ecs.describe_services").unwrap();
        assert_eq!((describe.effect, &describe.result), (Effect::Read, &Type::Json));
        assert_eq!(describe.params[1].ty.to_string(), "List<Text>");
        // The token is the engine's.
        let run = operation("ecs.run_task").unwrap();
        assert_eq!(run.idempotence, Idempotence::Keyed);
        assert!(run.params.iter().all(|param| &*param.name != "clientToken"));
        // Where the next page begins is ours.
        let list = operation("ecs.list_tasks").unwrap();
        assert!(list.params.iter().all(|param| &*param.name != "nextToken"));
        let stable = operation("ecs.wait_services_stable").unwrap();
        assert_eq!(
            (stable.effect, &stable.result, stable.within.as_secs()),
            (Effect::Read, &Type::Bool, 600)
        );
    }

    #[test]
    fn what_streams_is_refused_in_words() {
        assert!(operation("s3.get_object").is_none());
        assert!(refusal("s3.get_object").unwrap().contains("stream"));
        assert!(refusal("logs.start_live_tail").unwrap().contains("stream of events"));
        assert!(refusal("ecs.update_service").is_none());
        assert!(operation("lambda.invoke").is_some());
    }
}
