package server

import (
	"context"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/ratelimit"
)

// callRates are by the class of a call's method.
func callRates(r config.Rates) map[int32]ratelimit.Rate {
	rates := make(map[int32]ratelimit.Rate)
	for class, rate := range map[qpcv1.RateClass]config.Rate{
		qpcv1.RateClass_RATE_CLASS_AUTH:   r.Auth,
		qpcv1.RateClass_RATE_CLASS_LOOKUP: r.Lookup,
		qpcv1.RateClass_RATE_CLASS_POST:   r.Post,
		qpcv1.RateClass_RATE_CLASS_OWN:    r.Own,
		qpcv1.RateClass_RATE_CLASS_BLOB:   r.Blob,
	} {
		rates[int32(class)] = ratelimit.Rate{PerMinute: rate.PerMinute, Burst: rate.Burst}
	}
	return rates
}

// loginClass is the only class of the limiter of logins, which is apart from that
// of calls so that a flood of networks makes it forget nothing.
const loginClass = 0

func loginRates(r config.Rates) map[int32]ratelimit.Rate {
	return map[int32]ratelimit.Rate{loginClass: {PerMinute: r.Login.PerMinute, Burst: r.Login.Burst}}
}

// admit refuses a call before it is read.
func (s *Server) admit(ctx context.Context, p *wire.Peer, m wire.Method) error {
	if err := s.limit(p, m); err != nil {
		return err
	}
	return s.blobs.Admit(ctx, p, m)
}

// limit refuses a call where the caller's network or account has made too
// many of its class.
func (s *Server) limit(p *wire.Peer, m wire.Method) error {
	wait := s.limiter.Allow(int32(m.Rate), subjectsOf(p)...)
	if wait == 0 {
		return nil
	}
	return s.refused(word(m.Rate.String(), "RATE_CLASS_"), "Too many requests. Try again a little later.", wait)
}

// limitLogin refuses to let a further password be tried for the name of a hash,
// whether somebody has it or not.
func (s *Server) limitLogin(name [16]byte) error {
	wait := s.logins.Allow(loginClass, ratelimit.Name(name))
	if wait == 0 {
		return nil
	}
	return s.refused("login", "Too many passwords were tried for this name. Try again a little later, or use a device that is logged in.", wait)
}

func (s *Server) refused(class, message string, wait time.Duration) error {
	s.meters.limited.Add(1, class)
	return &wire.Error{Code: qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED, Message: message, RetryAfter: wait}
}

// chargePosts counts further posts of a call that was let in as one.
func (s *Server) chargePosts(p *wire.Peer, posts int) {
	s.limiter.Charge(int32(qpcv1.RateClass_RATE_CLASS_POST), posts, subjectsOf(p)...)
}

// subjectsOf are those whose rates a peer's calls count to.
func subjectsOf(p *wire.Peer) []ratelimit.Subject {
	subjects := []ratelimit.Subject{ratelimit.Network(p.RemoteAddr())}
	if who, ok := p.Principal(); ok {
		if account, err := identity.ParseAccountID(who.Account); err == nil {
			subjects = append(subjects, ratelimit.Account(account))
		}
	}
	return subjects
}
