// Calls a method of a gateway as a client that has its token, and prints the answer. By `node --input-type=module --eval`,
// with the address, the token, the scope, the method and its parameters as arguments.
const [address, token, scope, method, params] = process.argv.slice(1);
const socket = new WebSocket(address);
const ask = (id, method, params) => socket.send(JSON.stringify({ type: 'req', id, method, params }));
const client = { id: 'gateway-client', version: '0', platform: 'linux', mode: 'backend' };
const scopes = [scope];
socket.onclose = (event) => process.exit(event.code === 1005 ? 0 : 1);
socket.onmessage = ({ data }) => {
    const { event, id, ok, payload, error } = JSON.parse(data);
    if (event === 'connect.challenge') {
        const identity = { client, role: 'operator', scopes, caps: [], auth: { token } };
        ask('connect', 'connect', { minProtocol: 4, maxProtocol: 4, ...identity });
    } else if (id === 'connect') {
        ask('call', method, JSON.parse(params));
    } else if (id === 'call') {
        console.log(JSON.stringify({ ok, payload, error }));
        socket.close();
    }
};
