package server

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"quicprochat/core/opaque"
	"quicprochat/core/version"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/account"
	"quicprochat/server/address"
	"quicprochat/server/auth"
	"quicprochat/server/blob"
	"quicprochat/server/bus"
	"quicprochat/server/channel"
	"quicprochat/server/config"
	"quicprochat/server/device"
	"quicprochat/server/keys"
	"quicprochat/server/moderation"
	"quicprochat/server/names"
	"quicprochat/server/node"
	"quicprochat/server/queue"
	"quicprochat/server/recovery"
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
	s.limiter = newLimiter(s.cfg.Rates, s.now)
	s.queues = queue.New(s.store, sealer, b, s.log)
	quotaKey, err := hkdf.Key(sha256.New, k.Storage[:], nil, "qpc blob quota v1", 32)
	if err != nil {
		return fmt.Errorf("quota key: %w", err)
	}
	s.blobs = blob.New(blob.Options{
		Store: s.store, Objects: s.objects, QuotaKey: [32]byte(quotaKey), MaxSize: s.cfg.Limits.BlobSize, Now: s.now, Log: s.log,
	})
	hasher, err := names.NewHasher(k.Login)
	if err != nil {
		return err
	}
	recoveries, err := recovery.New(recovery.Options{
		Store: s.store, OPAQUE: passwords, Names: hasher, Sessions: s.sessions, Now: s.now, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	s.moderation, err = moderation.New(moderation.Options{
		Store: s.store, Sessions: s.sessions, StorageKey: k.Storage, Now: s.now, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.router = wire.NewRouter()
	for _, service := range []interface{ Register(*wire.Router) }{
		auth.New(auth.Options{
			Store: s.store, OPAQUE: passwords, LoginKey: k.Login, Names: hasher, Registration: s.cfg.Registration,
			Sessions: s.sessions, Now: s.now, Log: s.log,
		}),
		account.New(account.Options{
			Store: s.store, OPAQUE: passwords, Names: hasher, Sessions: s.sessions, Now: s.now, Log: s.log,
		}),
		recoveries,
		device.New(s.store, s.sessions, s.now),
		keys.New(s.store, sealer, s.now),
		user.New(s.store, s.now),
		s.queues,
		channel.New(s.store, sealer, b, s.cfg.Limits.ChannelAddresses, s.now),
		s.blobs,
		s.moderation,
		node.New(s.store, s.info()),
	} {
		service.Register(s.router)
	}
	return nil
}

func (s *Server) info() *qpcv1.InfoResponse {
	modes := map[config.Registration]qpcv1.InfoResponse_Registration{
		config.RegistrationOpen:   qpcv1.InfoResponse_REGISTRATION_OPEN,
		config.RegistrationInvite: qpcv1.InfoResponse_REGISTRATION_INVITE,
		config.RegistrationClosed: qpcv1.InfoResponse_REGISTRATION_CLOSED,
	}
	return &qpcv1.InfoResponse{
		ServerName:          s.cfg.Name(),
		Version:             version.Version,
		Registration:        modes[s.cfg.Registration],
		MaxChannelAddresses: uint32(s.cfg.Limits.ChannelAddresses),
		MaxBlobSize:         uint64(s.cfg.Limits.BlobSize),
	}
}
