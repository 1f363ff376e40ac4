package wire

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Router holds the handlers of a server. Fill it with [Handle] before Serve;
// a method without a handler answers like an unknown one.
type Router struct {
	routes map[uint16]*route
}

type route struct {
	method *Method
	// call decodes a request, runs the handler and appends the encoded
	// response to out.
	call func(ctx context.Context, p *Peer, payload, out []byte) ([]byte, error)
}

// NewRouter makes an empty Router.
func NewRouter() *Router {
	return &Router{routes: map[uint16]*route{}}
}

// message is satisfied by the pointer to a generated message struct.
type message[T any] interface {
	*T
	proto.Message
}

// Handle registers h for the method whose request type is Req:
//
//	wire.Handle(r, func(ctx context.Context, p *wire.Peer, req *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) { … })
//
// ctx ends when the caller gives up or the connection is gone, and at the
// latest when the response was written. h must return then; it owes the rest of the program that its errors, which are logged,
// name no account, address or content. An [Error] goes to the caller as it is,
// any other error as ERROR_CODE_INTERNAL. Handlers run concurrently, those of
// one connection too. req belongs to h.
//
// Handle panics where no method has these types, or one has a handler already:
// both are mistakes of the program that show at its start.
func Handle[Req, Resp any, PReq message[Req], PResp message[Resp]](r *Router, h func(ctx context.Context, p *Peer, req *Req) (*Resp, error)) {
	name := PReq(nil).ProtoReflect().Descriptor().FullName()
	m, ok := methods().byRequest[name]
	if !ok {
		panic(fmt.Sprintf("wire: no method has the request %s", name))
	}
	if got := PResp(nil).ProtoReflect().Descriptor().FullName(); got != m.Response.Descriptor().FullName() {
		panic(fmt.Sprintf("wire: the response of %s is not %s", m.Name, got))
	}
	if r.routes[m.ID] != nil {
		panic(fmt.Sprintf("wire: %s has two handlers", m.Name))
	}
	call := func(ctx context.Context, p *Peer, payload, out []byte) ([]byte, error) {
		req := new(Req)
		if err := proto.Unmarshal(payload, PReq(req)); err != nil {
			return nil, ErrMalformed
		}
		resp, err := h(ctx, p, req)
		if err != nil {
			return nil, err
		}
		return proto.MarshalOptions{}.MarshalAppend(out, PResp(resp))
	}
	r.routes[m.ID] = &route{method: m, call: call}
}

var errWrongConnection = NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This call is not for this kind of connection.")

// allow enforces a method's access on the kind of connection that p is.
func allow(m *Method, p *Peer) error {
	principal, known := p.Principal()
	var ok bool
	switch m.Access {
	case qpcv1.Access_ACCESS_OPEN:
		ok = true
	case qpcv1.Access_ACCESS_ACCOUNT, qpcv1.Access_ACCESS_ADMIN: // for the role, see authorize
		ok = known && len(principal.Account) > 0
	case qpcv1.Access_ACCESS_ANONYMOUS:
		ok = !known
	case qpcv1.Access_ACCESS_SERVER:
		ok = known && principal.Role == RoleServer
	}
	if !ok {
		return errWrongConnection
	}
	return nil
}
