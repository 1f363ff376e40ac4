// Package controller is what the screens do, without the screens: one
// controller per screen or dialog, data in and callbacks out.
//
// Controllers belong to one goroutine, the one that owns the widgets: every
// method is called there and every callback comes there. Work that may take
// time runs through [Loop.Go] and comes back through [Loop.UI], so nothing here
// ever blocks that goroutine. A controller says that something changed and the
// view asks it for its state; text for people comes from client.UserMessage.
//
// The package knows package core/client and no toolkit, so that all of it can
// be tested without a window.
package controller
