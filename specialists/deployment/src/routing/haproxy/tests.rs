use super::*;
use crate::routing::table::routes;

fn known(text: &str, in_maintenance: &str) -> Vec<Known> {
    let known = |server: Server| Known {
        maintenance: in_maintenance == server.name,
        report: ServerReport {
            name: server.name,
            address: server.address,
            weight: server.weight,
            in_flight: 0,
            requests: 0,
            errors: 0,
            spent: Spent::RecentMs(None),
        },
    };
    routes(text).servers.into_iter().map(known).collect()
}

#[test]
fn who_gains_comes_before_who_loses() {
    for (now, maintenance, wanted, expected) in [
        ("v1-0=100", "", "v1-0=100", ""),
        (
            "v1-0=100",
            "",
            "v1-0=0 v2-0=100",
            "add server shop/v2-0 127.0.0.1:9001 weight 100; enable server shop/v2-0; \
             set server shop/v1-0 weight 0",
        ),
        (
            "v1-0=0 v2-0=100",
            "",
            "v1-0=100",
            "set server shop/v1-0 weight 100; set server shop/v2-0 state maint",
        ),
        ("v1-0=100 v2-0=0", "v2-0", "v1-0=100", ""),
        (
            "v1-0=100 v2-0=0",
            "v2-0",
            "v1-0=0 v2-0=100",
            "set server shop/v2-0 weight 100; set server shop/v2-0 state ready; \
             set server shop/v1-0 weight 0",
        ),
    ] {
        let said = commands("shop", &known(now, maintenance), &routes(wanted)).join("; ");
        assert_eq!(said, expected, "{now} to {wanted}");
    }
    let mut moved = routes("v1-0=100");
    moved.servers[0].address = ([127, 0, 0, 1], 7).into();
    let said = commands("shop", &known("v1-0=100", ""), &moved);
    assert_eq!(said, ["set server shop/v1-0 addr 127.0.0.1 port 7"]);
}

#[test]
fn statistics_are_read_by_the_names_of_their_columns() {
    let text = "# pxname,svname,qcur,scur,stot,econ,eresp,hrsp_5xx,rtime,status,uweight,addr\n\
                other,x,0,0,0,,,,,no check,1,127.0.0.1:1\n\
                shop,v1-0,1,2,30,1,2,3,4,no check,90,127.0.0.1:9\n\
                shop,v2-0,,0,0,,,,0,MAINT,0,127.0.0.1:10\n";
    let read = parse(text, "shop").unwrap();
    let v1 = &read[0].report;
    assert_eq!((v1.in_flight, v1.requests, v1.errors, v1.weight), (3, 30, 6, 90));
    assert_eq!((v1.spent, read[0].maintenance), (Spent::RecentMs(Some(4.0)), false));
    assert_eq!((read[1].report.spent, read[1].maintenance), (Spent::RecentMs(None), true));
    for junk in ["", "junk", "# pxname,svname\nshop,v1-0\n"] {
        assert!(parse(junk, "shop").is_err(), "{junk}");
    }
}

#[test]
fn what_it_has_against_a_command_is_heard() {
    assert_eq!(complaint("New server registered.\n\n\n"), None);
    assert_eq!(complaint("\nport changed from '1' to '2' by 'stats socket command'\n"), None);
    assert_eq!(complaint("\nNo such server.\n"), Some("No such server."));
}
