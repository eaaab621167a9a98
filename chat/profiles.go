package chat

import (
	"net/url"
	"strings"
)

// UserUpdatedData is a profile as it is now. In the user's own copies it also
// has what only the user sees.
type UserUpdatedData struct {
	Profile

	AcceptMessagesFrom       Acceptance         `json:"accept_messages_from,omitempty"`
	AcceptFriendRequestsFrom Acceptance         `json:"accept_friend_requests_from,omitempty"`
	AcceptGroupInvitesFrom   Acceptance         `json:"accept_group_invites_from,omitempty"`
	PresenceVisibility       PresenceVisibility `json:"presence_visibility,omitempty"`
	CreatedAt                *Time              `json:"created_at,omitempty"`
}

// BlockChangedData says whether the user to whom it goes blocks another.
type BlockChangedData struct {
	User    Profile `json:"user"`
	Blocked bool    `json:"blocked"`
	Since   *Time   `json:"since,omitempty"` // when blocked
}

// tellProfile tells a user's friends and private peers of a new profile, as
// many as are told at once. The others see it when they next look: in groups a
// new picture is not worth a row in every member's inbox.
func (s *Service) tellProfile(tx Tx, user User) error {
	audience, err := tx.ProfileAudience(user.ID, s.limits.MaxProfileRecipients)
	if err != nil {
		return err
	}
	return tx.Append(UserUpdated, UserUpdatedData{Profile: user.Profile}, audience...)
}

// tellMe tells a user's own devices of everything about the user.
func tellMe(tx Tx, user User) error {
	return tx.Append(UserUpdated, UserUpdatedData{
		Profile: user.Profile, AcceptMessagesFrom: user.AcceptMessagesFrom, AcceptFriendRequestsFrom: user.AcceptFriendRequestsFrom,
		AcceptGroupInvitesFrom: user.AcceptGroupInvitesFrom, PresenceVisibility: user.PresenceVisibility, CreatedAt: &user.CreatedAt,
	}, user.ID)
}

// sameProfile tells whether others would see no difference.
func sameProfile(a, b Profile) bool {
	pictured := a.AvatarURL != nil && b.AvatarURL != nil && *a.AvatarURL == *b.AvatarURL || a.AvatarURL == nil && b.AvatarURL == nil
	return pictured && a.DisplayName == b.DisplayName && a.StatusText == b.StatusText
}

// sameSettings tells whether the user would see no difference in what others do not see.
func sameSettings(a, b User) bool {
	return a.AcceptMessagesFrom == b.AcceptMessagesFrom && a.AcceptFriendRequestsFrom == b.AcceptFriendRequestsFrom &&
		a.AcceptGroupInvitesFrom == b.AcceptGroupInvitesFrom && a.PresenceVisibility == b.PresenceVisibility
}

func (s *Service) checkProfile(patch ProfilePatch) error {
	var faults fieldErrors
	if patch.DisplayName != nil {
		faults.text("display_name", strings.TrimSpace(*patch.DisplayName), 1, s.limits.MaxDisplayNameLength)
	}
	if patch.StatusText != nil {
		faults.text("status_text", *patch.StatusText, 0, s.limits.MaxStatusTextLength)
	}
	if patch.AvatarURL != nil && *patch.AvatarURL != "" {
		faults.text("avatar_url", *patch.AvatarURL, 0, s.limits.MaxAvatarURLLength)
		if u, err := url.Parse(*patch.AvatarURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			faults.add("avatar_url", "must be an http or https URL")
		}
	}
	if patch.AcceptMessagesFrom != nil {
		oneOf(&faults, "accept_messages_from", *patch.AcceptMessagesFrom, AcceptFriends, AcceptEveryone, AcceptNobody)
	}
	if patch.AcceptFriendRequestsFrom != nil {
		oneOf(&faults, "accept_friend_requests_from", *patch.AcceptFriendRequestsFrom, AcceptEveryone, AcceptNobody)
	}
	if patch.AcceptGroupInvitesFrom != nil {
		oneOf(&faults, "accept_group_invites_from", *patch.AcceptGroupInvitesFrom, AcceptFriends, AcceptEveryone, AcceptNobody)
	}
	if patch.PresenceVisibility != nil {
		oneOf(&faults, "presence_visibility", *patch.PresenceVisibility, PresenceToFriends, PresenceToNobody)
	}
	return faults.err()
}

// apply writes what the patch has into user.
func (p ProfilePatch) apply(user *User) {
	if p.DisplayName != nil {
		user.DisplayName = *p.DisplayName
	}
	if p.StatusText != nil {
		user.StatusText = *p.StatusText
	}
	if p.AvatarURL != nil {
		user.AvatarURL = p.AvatarURL
		if *p.AvatarURL == "" {
			user.AvatarURL = nil
		}
	}
	if p.AcceptMessagesFrom != nil {
		user.AcceptMessagesFrom = *p.AcceptMessagesFrom
	}
	if p.AcceptFriendRequestsFrom != nil {
		user.AcceptFriendRequestsFrom = *p.AcceptFriendRequestsFrom
	}
	if p.AcceptGroupInvitesFrom != nil {
		user.AcceptGroupInvitesFrom = *p.AcceptGroupInvitesFrom
	}
	if p.PresenceVisibility != nil {
		user.PresenceVisibility = *p.PresenceVisibility
	}
}
