// Sessions by name, each with what it has received, for tests that script AutobahnJS directly.
var sessions = {};

function openSession(name, url) {
    return new Promise(function (resolve, reject) {
        var session = new ab.Session(
            url,
            function () { resolve(session.sessionid()); },
            function (code, reason) { reject(new Error(code + ' ' + reason)); },
            {'skipSubprotocolCheck': true}
        );
        session.received = [];
        session.listener = function (topic, data) { session.received.push([topic, data]); };
        sessions[name] = session;
    });
}

// The answer to a call comes after everything the server did for this session before.
function settled(name) {
    return new Promise(function (resolve) {
        sessions[name].call('http://example.com/none').then(resolve, resolve);
    });
}

function callError(name, procedure) {
    return new Promise(function (resolve, reject) {
        sessions[name].call(procedure).then(
            function () { reject(new Error('a result was not expected')); },
            resolve
        );
    });
}

function taken(name) {
    return sessions[name].received.splice(0);
}
