package main

import (
	"bytes"
	"context"

	"quicprochat/core/client"
	"quicprochat/server"
	"quicprochat/server/storage"
	"quicprochat/ui/controller"
)

// ownerSDK makes the account of whoever hosts the server an admin of it.
type ownerSDK struct {
	controller.SDK
	host *host
}

// Register implements controller.SDK.
func (o ownerSDK) Register(ctx context.Context, link client.Link, name, password string) (controller.Session, error) {
	return o.entered(o.SDK.Register(ctx, link, name, password))
}

// Login implements controller.SDK.
func (o ownerSDK) Login(ctx context.Context, link client.Link, name, password string) (controller.Session, error) {
	return o.entered(o.SDK.Login(ctx, link, name, password))
}

// Recover implements controller.SDK.
func (o ownerSDK) Recover(ctx context.Context, link client.Link, name, code, password string) (controller.Session, string, error) {
	s, next, err := o.SDK.Recover(ctx, link, name, code, password)
	s, err = o.entered(s, err)
	return s, next, err
}

// Open implements controller.SDK.
func (o ownerSDK) Open(ctx context.Context, password string) (controller.Session, error) {
	return o.entered(o.SDK.Open(ctx, password))
}

func (o ownerSDK) entered(s controller.Session, err error) (controller.Session, error) {
	if err == nil {
		o.host.own(&owner{link: s.Link(), me: s.Me()})
	}
	return s, err
}

// owner is the account that this app is used with.
type owner struct {
	link client.Link
	me   client.Me
}

// own notes whose app this is, and makes the account an admin of the server, now
// or when it runs.
func (h *host) own(o *owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owner = o
	if h.server != nil {
		h.promote(h.server)
	}
}

// promote makes the owner's account an admin, where it is one of this server. A
// failure keeps nobody from chatting: the next start tries again.
func (h *host) promote(s *server.Server) {
	own, err := client.ParseLink(s.Link(nil))
	if h.owner == nil || err != nil || !bytes.Equal(own.Pin, h.owner.link.Pin) {
		return
	}
	ctx, name := context.Background(), h.owner.me.Name
	user, err := s.Moderation().User(ctx, name)
	if err == nil && (user.ID != h.owner.me.AccountID || user.Role == storage.RoleAdmin) {
		return
	}
	if err == nil {
		err = s.Moderation().SetRole(ctx, name, storage.RoleAdmin)
	}
	if err != nil {
		h.log.Warn("the host's account is not an admin of the server", "error", err)
	}
}
