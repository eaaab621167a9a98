package chat

import (
	"context"
	"regexp"
	"strings"
)

// RegisterInput is what a new account is made of. An empty DisplayName becomes
// the username.
type RegisterInput struct {
	Username    string
	Password    string
	DisplayName string
	DeviceName  string
	From        ClientOrigin
}

// LoginInput opens a session.
type LoginInput struct {
	Username   string
	Password   string
	DeviceName string
	From       ClientOrigin
}

// SignIn is what a client gets to work with: a session and its tokens.
type SignIn struct {
	User         User   `json:"user"`
	SessionID    ID     `json:"session_id"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"` // always "Bearer"
	ExpiresIn    int    `json:"expires_in"` // seconds the access token is good
}

// usernamePattern keeps names readable, typeable and safe in URLs and mentions.
var usernamePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{2,31}$`)

// Register makes an account and its first session. CodeUsernameTaken when the
// name exists in any case.
func (s *Service) Register(ctx context.Context, in RegisterInput) (SignIn, error) {
	if in.DisplayName == "" {
		in.DisplayName = in.Username
	}
	var faults fieldErrors
	if !usernamePattern.MatchString(in.Username) {
		faults.add("username", "must have 3 to 32 characters out of letters, digits, dot, hyphen and underscore, and begin with a letter, digit or underscore")
	}
	faults.text("password", in.Password, s.limits.MinPasswordLength, s.limits.MaxPasswordLength)
	faults.text("display_name", strings.TrimSpace(in.DisplayName), 1, s.limits.MaxDisplayNameLength)
	faults.text("device_name", in.DeviceName, 0, s.limits.MaxDeviceNameLength)
	if err := faults.err(); err != nil {
		return SignIn{}, err
	}
	// A taken name is found before the costly hash; the insert decides all the same.
	if _, err := s.store.CredentialsByUsername(ctx, in.Username); err == nil {
		return SignIn{}, &Error{Code: CodeUsernameTaken, Detail: "This username is taken. Choose another."}
	} else if !isNotFound(err) {
		return SignIn{}, err
	}
	hash, err := s.passwords.Hash(ctx, in.Password)
	if err != nil {
		return SignIn{}, err
	}
	user := User{
		Profile:            Profile{ID: s.ids.Next(), Username: in.Username, DisplayName: in.DisplayName},
		AcceptMessagesFrom: AcceptFriends, AcceptFriendRequestsFrom: AcceptEveryone, AcceptGroupInvitesFrom: AcceptEveryone,
		PresenceVisibility: PresenceToFriends, CreatedAt: TimeOf(s.now()),
	}
	session := s.newSession(user.ID, in.DeviceName, in.From)
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.InsertUser(user, hash); err != nil {
			return err
		}
		return tx.InsertSession(session)
	})
	if err != nil {
		return SignIn{}, err
	}
	return s.signIn(user, session.ID, session.RefreshGeneration)
}

// Login opens a session. CodeInvalidCredentials does not tell whether it was
// the name or the password, nor does the time it takes.
func (s *Service) Login(ctx context.Context, in LoginInput) (SignIn, error) {
	var faults fieldErrors
	faults.text("device_name", in.DeviceName, 0, s.limits.MaxDeviceNameLength)
	if err := faults.err(); err != nil {
		return SignIn{}, err
	}
	wrong := &Error{Code: CodeInvalidCredentials, Detail: "Username or password is wrong."}
	// What cannot be a password of anybody is not hashed, whatever its length.
	if len(in.Password) > 4*s.limits.MaxPasswordLength {
		return SignIn{}, wrong
	}
	known, err := s.store.CredentialsByUsername(ctx, in.Username)
	if isNotFound(err) {
		if err := s.passwords.VerifyNobody(ctx, in.Password); err != nil {
			return SignIn{}, err
		}
		return SignIn{}, wrong
	}
	if err != nil {
		return SignIn{}, err
	}
	good, err := s.passwords.Verify(ctx, in.Password, known.PasswordHash)
	if err != nil {
		return SignIn{}, err
	}
	if !good {
		return SignIn{}, wrong
	}
	session := s.newSession(known.User.ID, in.DeviceName, in.From)
	err = s.endingSessions(ctx, func(tx Tx) ([]ID, error) {
		// The lock that a change of the password takes too: after that nobody comes in with the old one.
		if err := confirm(tx, Caller{User: known.User.ID}, known); err != nil {
			return nil, wrong
		}
		if err := tx.InsertSession(session); err != nil {
			return nil, err
		}
		if err := tx.Append(SessionCreated, SessionCreatedData{Session: session}, known.User.ID); err != nil {
			return nil, err
		}
		return s.endUnused(tx, known.User.ID, session.ID)
	})
	if err != nil {
		return SignIn{}, err
	}
	return s.signIn(known.User, session.ID, session.RefreshGeneration)
}

func (s *Service) newSession(user ID, device string, from ClientOrigin) Session {
	now := s.now()
	from = from.tidy()
	return Session{
		Address: from.Address, UserAgent: from.UserAgent,
		ID: s.ids.Next(), UserID: user, DeviceName: device, CreatedAt: TimeOf(now), LastSeenAt: TimeOf(now),
		ExpiresAt: TimeOf(now.Add(s.lifetimes.Session)), RefreshGeneration: 1,
	}
}

// signIn makes the tokens of a session at a refresh generation.
func (s *Service) signIn(user User, session ID, generation int64) (SignIn, error) {
	access, err := s.tokens.Access(SessionRef{User: user.ID, Session: session}, s.now().Add(s.lifetimes.AccessToken))
	if err != nil {
		return SignIn{}, err
	}
	return SignIn{
		User: user, SessionID: session, AccessToken: access, RefreshToken: s.tokens.Refresh(session, generation),
		TokenType: "Bearer", ExpiresIn: int(s.lifetimes.AccessToken.Seconds()),
	}, nil
}

// Me returns the caller.
func (s *Service) Me(ctx context.Context, caller Caller) (User, error) {
	return s.store.UserByID(ctx, caller.User)
}

// UpdateMe changes the caller's profile and what the caller takes from whom.
// The caller's devices learn of it and, of what they see, friends and peers.
func (s *Service) UpdateMe(ctx context.Context, caller Caller, patch ProfilePatch) (User, error) {
	if err := s.checkProfile(patch); err != nil {
		return User{}, err
	}
	var changed User
	err := s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(caller.User); err != nil {
			return err
		}
		user, err := tx.UserByID(caller.User)
		if err != nil {
			return err
		}
		before := user
		patch.apply(&user)
		changed = user
		visible := !sameProfile(before.Profile, user.Profile)
		if !visible && sameSettings(before, user) {
			return nil
		}
		if err := tx.UpdateUser(user); err != nil {
			return err
		}
		if err := tellMe(tx, user); err != nil || !visible {
			return err
		}
		return s.tellProfile(tx, user)
	})
	if err == nil && patch.PresenceVisibility != nil {
		s.connections.ShowPresence(caller.User)
	}
	return changed, err
}

// Profile returns what anybody signed in may see of a user.
func (s *Service) Profile(ctx context.Context, id ID) (Profile, error) {
	user, err := s.store.UserByID(ctx, id)
	return user.Profile, err
}

// FindUsers lists users whose username or display name begins with prefix, in
// any case, but for those who block the caller.
func (s *Service) FindUsers(ctx context.Context, caller Caller, prefix string, page Page) (List[Profile], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Profile]{}, err
	}
	var faults fieldErrors
	faults.text("q", strings.TrimSpace(prefix), 1, s.limits.MaxDisplayNameLength)
	if err := faults.err(); err != nil {
		return List[Profile]{}, err
	}
	return s.store.FindUsers(ctx, caller.User, strings.TrimSpace(prefix), page)
}

// isNotFound tells whether err says that something is not there.
func isNotFound(err error) bool {
	return CodeOf(err) == CodeNotFound
}
