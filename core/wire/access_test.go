package wire

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// loginRouter answers every method with nothing; LoginFinish authenticates as
// what ke3 names.
func loginRouter(kinds map[string]*Principal) *Router {
	r := NewRouter()
	for _, m := range Methods() {
		r.routes[m.ID] = &route{method: &m, call: func(_ context.Context, _ *Peer, _, out []byte) ([]byte, error) { return out, nil }}
	}
	delete(r.routes, 0x0104)
	Handle(r, func(_ context.Context, p *Peer, req *qpcv1.LoginFinishRequest) (*qpcv1.LoginFinishResponse, error) {
		return &qpcv1.LoginFinishResponse{}, p.Authenticate(*kinds[string(req.GetKe3())])
	})
	return r
}

func TestAccessMatrix(t *testing.T) {
	account, admin := []byte("0123456789abcdef"), []byte("admin 0123456789")
	kinds := map[string]*Principal{
		"anonymous": nil,
		"account":   {Account: account},
		"device":    {Account: account, Device: account},
		"admin":     {Account: admin},
		"server":    {Role: RoleServer},
		"nobody":    {}, // a mistake of a handler must open nothing
	}
	allowed := map[qpcv1.Access]string{
		qpcv1.Access_ACCESS_OPEN:      "anonymous account device admin server nobody",
		qpcv1.Access_ACCESS_ANONYMOUS: "anonymous",
		qpcv1.Access_ACCESS_ACCOUNT:   "account device admin",
		qpcv1.Access_ACCESS_ADMIN:     "admin",
		qpcv1.Access_ACCESS_SERVER:    "server",
	}
	errRole := NewError(qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED, "no")
	s := serve(t, loginRouter(kinds), ServeOptions{Operator: func(_ context.Context, account []byte) error {
		if bytes.Equal(account, admin) {
			return nil
		}
		return errRole
	}})
	for kind, principal := range kinds {
		c := s.dial(t, DialOptions{})
		if principal != nil {
			if err := c.Call(testContext(t), &qpcv1.LoginFinishRequest{Ke3: []byte(kind)}, &qpcv1.LoginFinishResponse{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range Methods() {
			if m.ID == 0x0104 {
				continue
			}
			r, err := send(t, c, AppendRequest(nil, Request{Method: m.ID, ID: 3}))
			if err != nil {
				t.Fatal(err)
			}
			want := contains(allowed[m.Access], kind)
			if got := r.Status == StatusOK; got != want {
				t.Errorf("%s as %s: allowed is %v", m.Name, kind, got)
			}
			refusal := qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION
			if m.Access == qpcv1.Access_ACCESS_ADMIN && contains(allowed[qpcv1.Access_ACCESS_ACCOUNT], kind) {
				refusal = errRole.Code
			}
			if !want && errorCode(t, r) != refusal {
				t.Errorf("%s as %s: %v", m.Name, kind, errorCode(t, r))
			}
		}
		// The kinds of access that no method has yet.
		p := &Peer{principal: principal}
		for access := range qpcv1.Access_name {
			a := qpcv1.Access(access)
			if a == qpcv1.Access_ACCESS_ADMIN {
				continue // it takes more than the connection
			}
			if got := allow(&Method{Access: a}, p) == nil; got != contains(allowed[a], kind) {
				t.Errorf("%s as %s: allowed is %v", a, kind, got)
			}
		}
	}
}

func contains(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

func TestConnectionKeepsItsAccount(t *testing.T) {
	p := &Peer{}
	if _, ok := p.Principal(); ok {
		t.Error("authenticated from the start")
	}
	account := []byte("account-a")
	if err := p.Authenticate(Principal{Account: account}); err != nil {
		t.Fatal(err)
	}
	account[0] = 'X' // the caller's slice is its own
	if err := p.Authenticate(Principal{Account: []byte("account-a"), Device: []byte("d")}); err != nil {
		t.Error(err)
	}
	err := p.Authenticate(Principal{Account: []byte("account-b")})
	if CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION {
		t.Error(err)
	}
	if got, ok := p.Principal(); !ok || string(got.Account) != "account-a" || string(got.Device) != "d" {
		t.Errorf("%+v", got)
	}
}

func TestInterceptComesAfterAccess(t *testing.T) {
	limited := &Error{Code: qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED, RetryAfter: 1e9}
	seen := make(chan Method, 10)
	s := serve(t, loginRouter(nil), ServeOptions{Intercept: func(_ context.Context, p *Peer, m Method) error {
		seen <- m
		if m.Rate == qpcv1.RateClass_RATE_CLASS_LOOKUP {
			return limited
		}
		return nil
	}})
	c := s.dial(t, DialOptions{})
	if err := c.Call(testContext(t), &qpcv1.FetchRequest{}, &qpcv1.FetchResponse{}); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION {
		t.Error(err)
	}
	if len(seen) != 0 {
		t.Error("asked about a call that the access forbids")
	}
	err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != limited.Code || e.RetryAfter != limited.RetryAfter {
		t.Error(err)
	}
	mustHealth(t, c)
	if len(seen) != 2 {
		t.Errorf("asked %d times", len(seen))
	}
}

// Without somebody to ask, nobody is an operator; and the answer is as of now.
func TestOperatorIsAskedBeforeEachCall(t *testing.T) {
	kinds := map[string]*Principal{"account": {Account: []byte("0123456789abcdef")}}
	var operates atomic.Bool
	errRole := NewError(qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED, "no")
	ask := func(context.Context, []byte) error {
		if operates.Load() {
			return nil
		}
		return errRole
	}
	for name, tc := range map[string]struct {
		operator func(context.Context, []byte) error
		refusal  qpcv1.ErrorCode
	}{
		"nobody to ask": {nil, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION},
		"somebody":      {ask, errRole.Code},
	} {
		s := serve(t, loginRouter(kinds), ServeOptions{Operator: tc.operator})
		c := s.dial(t, DialOptions{})
		if err := c.Call(testContext(t), &qpcv1.LoginFinishRequest{Ke3: []byte("account")}, &qpcv1.LoginFinishResponse{}); err != nil {
			t.Fatal(err)
		}
		for _, role := range []bool{false, true, false} {
			operates.Store(role)
			err := c.Call(testContext(t), &qpcv1.ListReportsRequest{}, &qpcv1.ListReportsResponse{})
			if allowed := role && tc.operator != nil; allowed != (err == nil) || !allowed && CodeOf(err) != tc.refusal {
				t.Errorf("%s, operator %v: %v", name, role, err)
			}
		}
	}
}
