package server

import (
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"slices"

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
	"quicprochat/server/contact"
	"quicprochat/server/device"
	"quicprochat/server/keys"
	"quicprochat/server/mint"
	"quicprochat/server/moderation"
	"quicprochat/server/names"
	"quicprochat/server/node"
	"quicprochat/server/push"
	"quicprochat/server/queue"
	"quicprochat/server/ratelimit"
	"quicprochat/server/recovery"
	"quicprochat/server/rendezvous"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/user"
)

// service has methods of the protocol.
type service interface{ Register(*wire.Router) }

// wire makes the services and gives their methods to the router.
func (s *Server) wire(k *secrets.Secrets, b bus.Bus) error {
	s.limiter, s.logins = ratelimit.New(callRates(s.cfg.Rates), s.now), ratelimit.New(loginRates(s.cfg.Rates), s.now)
	s.conns = wire.NewConnections(s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerAddress, 0)
	sealer := address.NewSealer(k.Address, k.Storage)
	accounts, err := s.accountServices(k, sealer)
	if err != nil {
		return err
	}
	messages, err := s.messageServices(k, sealer, b)
	if err != nil {
		return err
	}
	s.router = wire.NewRouter()
	for _, one := range slices.Concat(accounts, messages) {
		one.Register(s.router)
	}
	s.meters.look(s)
	return nil
}

// accountServices are about who may do what.
func (s *Server) accountServices(k *secrets.Secrets, sealer *address.Sealer) ([]service, error) {
	passwords, err := opaque.NewServer(opaque.DefaultConfig(), k.OPAQUE)
	if err != nil {
		return nil, fmt.Errorf("OPAQUE: %w", err)
	}
	hasher, err := names.NewHasher(k.Login)
	if err != nil {
		return nil, err
	}
	limitLogin := func(name string) error { return s.limitLogin(hasher.Tried(name)) }
	recoveries, err := recovery.New(recovery.Options{
		Store: s.store, OPAQUE: passwords, Names: hasher, Sessions: s.sessions, Now: s.now, Log: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("recovery: %w", err)
	}
	s.moderation, err = moderation.New(moderation.Options{
		Store: s.store, Sessions: s.sessions, StorageKey: k.Storage, Now: s.now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return []service{
		auth.New(auth.Options{
			Store: s.store, OPAQUE: passwords, LoginKey: k.Login, Names: hasher, LimitLogin: limitLogin,
			Registration: func() config.Registration { return s.settings().Registration },
			Sessions:     s.sessions, Now: s.now, Log: s.log,
		}),
		account.New(account.Options{
			Store: s.store, OPAQUE: passwords, Names: hasher, Sessions: s.sessions, LimitLogin: limitLogin, Now: s.now, Log: s.log,
		}),
		recoveries,
		s.moderation,
		device.New(s.store, s.sessions, s.now),
		keys.New(s.store, sealer, s.now),
		user.New(s.store, s.now),
	}, nil
}

// messageServices are about what people send.
func (s *Server) messageServices(k *secrets.Secrets, sealer *address.Sealer, b bus.Bus) ([]service, error) {
	blobQuota, tokenQuota, network := purposeKey(k, "qpc blob quota v1"), purposeKey(k, "qpc token quota v1"), purposeKey(k, "qpc endpoint network v1")
	var err error
	s.queues = queue.New(s.store, sealer, b, s.log)
	s.blobs = blob.New(blob.Options{
		Store: s.store, Objects: s.objects, QuotaKey: blobQuota, MaxSize: s.cfg.Limits.BlobSize, Now: s.now, Log: s.log,
	})
	if s.pushes, err = s.newPushes(k); err != nil {
		return nil, fmt.Errorf("push services: %w", err)
	}
	if s.mint, err = mint.New(k.Storage, s.now); err != nil {
		return nil, err
	}
	waker := wakers{b, s.pushes}
	return []service{
		s.queues,
		channel.New(channel.Options{
			Store: s.store, Sealer: sealer, Waker: waker, Mint: s.mint, MaxAddresses: s.cfg.Limits.ChannelAddresses,
			Charge: s.chargePosts, Explain: func(err error) *wire.Error { return s.explain(wire.Method{}, err) }, Now: s.now, Log: s.log,
		}),
		s.blobs,
		s.pushes,
		contact.New(contact.Options{
			Store: s.store, Sealer: sealer, Waker: waker, Mint: s.mint, QuotaKey: tokenQuota,
			TokensPerDay: s.cfg.Limits.ContactTokensPerDay, Now: s.now,
		}),
		node.New(s.store, s.info, &node.Endpoints{
			Store: s.store, NetworkKey: network, Closed: s.cfg.Limits.Endpoints == 0, Now: s.now,
		}),
	}, nil
}

// purposeKey derives a key of its own for a purpose from the storage key.
func purposeKey(k *secrets.Secrets, purpose string) [32]byte {
	key, err := hkdf.Key(sha256.New, k.Storage[:], nil, purpose, 32)
	if err != nil {
		panic(err) // the length is constant, and not too long
	}
	return [32]byte(key)
}

func (s *Server) newPushes(k *secrets.Secrets) (*push.Service, error) {
	return push.New(push.Options{
		Store: s.store, Presence: s.queues, StorageKey: k.Storage, Disabled: !s.cfg.Push.Enabled,
		Contact: s.cfg.Push.Contact, Networks: s.cfg.Push.Networks(), Now: s.now, Log: s.log,
	})
}

// wakers tells what came into queues to those who are connected, and then to
// those who wake the others.
type wakers []channel.Waker

func (w wakers) Wake(appended ...storage.Appended) {
	for _, one := range w {
		one.Wake(appended...)
	}
}

func (s *Server) info() (*qpcv1.InfoResponse, error) {
	key, err := s.mint.Public()
	if err != nil {
		return nil, err
	}
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
		PushKey:             s.pushes.PublicKey(),
		Rendezvous:          rendezvousOf(&s.cfg),
		MaxBlobSize:         uint64(s.cfg.Limits.BlobSize),
		TokenKey:            key,
	}, nil
}

// rendezvousOf are the links that clients are told.
func rendezvousOf(c *config.Config) []string {
	var links []string
	for _, link := range c.RendezvousLinks() {
		links = append(links, link.String())
	}
	return links
}

// publisher leaves word at other servers where this one, which has started,
// can be reached.
func (s *Server) publisher() *rendezvous.Publisher {
	key, _ := s.certs.own.PrivateKey.(crypto.Signer)
	return &rendezvous.Publisher{
		Key: key, At: s.cfg.RendezvousLinks(), Guess: s.cfg.PublicHost == "",
		Where: func() ([]string, int) { return []string{s.cfg.LinkHost()}, s.linkPort() },
		Now:   s.now, Log: s.log,
	}
}
