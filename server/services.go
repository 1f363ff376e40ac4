package server

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"quicprochat/core/opaque"
	"quicprochat/core/version"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/auth"
	"quicprochat/server/blob"
	"quicprochat/server/bus"
	"quicprochat/server/channel"
	"quicprochat/server/config"
	"quicprochat/server/device"
	"quicprochat/server/keys"
	"quicprochat/server/node"
	"quicprochat/server/queue"
	"quicprochat/server/ratelimit"
	"quicprochat/server/secrets"
	"quicprochat/server/user"
)

// wire makes the services and gives their methods to the router.
func (s *Server) wire(k *secrets.Secrets, b bus.Bus) error {
	passwords, err := opaque.NewServer(opaque.DefaultConfig(), k.OPAQUE)
	if err != nil {
		return fmt.Errorf("OPAQUE: %w", err)
	}
	sealer := address.NewSealer(k.Address, k.Storage)
	s.limiter, s.logins = ratelimit.New(callRates(s.cfg.Rates), s.now), ratelimit.New(loginRates(s.cfg.Rates), s.now)
	s.conns = wire.NewConnections(s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerAddress, 0)
	s.queues = queue.New(s.store, sealer, b, s.log)
	quotaKey, err := hkdf.Key(sha256.New, k.Storage[:], nil, "qpc blob quota v1", 32)
	if err != nil {
		return fmt.Errorf("quota key: %w", err)
	}
	s.blobs = blob.New(blob.Options{
		Store: s.store, Objects: s.objects, QuotaKey: [32]byte(quotaKey), MaxSize: s.cfg.Limits.BlobSize, Now: s.now, Log: s.log,
	})
	s.router = wire.NewRouter()
	for _, service := range []interface{ Register(*wire.Router) }{
		auth.New(auth.Options{
			Store: s.store, OPAQUE: passwords, LoginKey: k.Login, LimitLogin: s.limitLogin,
			Registration: func() config.Registration { return s.settings().Registration },
			Sessions:     s.sessions, Now: s.now, Log: s.log,
		}),
		device.New(s.store, s.sessions, s.now),
		keys.New(s.store, sealer, s.now),
		user.New(s.store),
		s.queues,
		channel.New(s.store, sealer, b, s.cfg.Limits.ChannelAddresses, s.now),
		s.blobs,
		node.New(s.store, s.info),
	} {
		service.Register(s.router)
	}
	s.meters.look(s)
	return nil
}

func (s *Server) info() *qpcv1.InfoResponse {
	modes := map[config.Registration]qpcv1.InfoResponse_Registration{
		config.RegistrationOpen:   qpcv1.InfoResponse_REGISTRATION_OPEN,
		config.RegistrationInvite: qpcv1.InfoResponse_REGISTRATION_INVITE,
		config.RegistrationClosed: qpcv1.InfoResponse_REGISTRATION_CLOSED,
	}
	settings := s.settings()
	return &qpcv1.InfoResponse{
		ServerName:          settings.Name(),
		Version:             version.Version,
		Registration:        modes[settings.Registration],
		MaxChannelAddresses: uint32(s.cfg.Limits.ChannelAddresses),
		MaxBlobSize:         uint64(s.cfg.Limits.BlobSize),
	}
}
