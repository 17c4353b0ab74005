//! Requests of the service Auth, and on whose behalf others are sent.

use ordeal_cluster::proto::etcdserverpb::*;
use tonic::Status;

use super::answer::Answer;
use super::store::Store;

/// How a request tells who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Not at all.
    Nobody,
    /// By the token that the user of that name got last, if there was one.
    User(&'static str),
    /// By a token that nobody ever got.
    Stranger(&'static str),
    /// By a token of root's that no request of the sequence got.
    Keeper,
}

/// The requests by their methods, each with the type of its answer.
macro_rules! requests {
    ($($method:ident($request:ident) -> $answer:ident,)*) => {
        /// One request.
        #[derive(Debug, Clone)]
        pub enum AuthAsk {
            $($method($request),)*
        }

        impl AuthAsk {
            /// Sends it, and gives what was answered.
            pub async fn send(self, store: &Store) -> Result<Answer, Status> {
                match self {
                    $(AuthAsk::$method(request) => {
                        let method = concat!("Auth/", stringify!($method));
                        let mut answer: $answer = store.call(method, request).await?;
                        let header = answer.header.take();
                        Ok(Answer::Auth(header, format!("{answer:?}")))
                    })*
                }
            }
        }
    };
}

requests! {
    AuthEnable(AuthEnableRequest) -> AuthEnableResponse,
    AuthDisable(AuthDisableRequest) -> AuthDisableResponse,
    AuthStatus(AuthStatusRequest) -> AuthStatusResponse,
    UserAdd(AuthUserAddRequest) -> AuthUserAddResponse,
    UserGet(AuthUserGetRequest) -> AuthUserGetResponse,
    UserList(AuthUserListRequest) -> AuthUserListResponse,
    UserDelete(AuthUserDeleteRequest) -> AuthUserDeleteResponse,
    UserChangePassword(AuthUserChangePasswordRequest) -> AuthUserChangePasswordResponse,
    UserGrantRole(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse,
    UserRevokeRole(AuthUserRevokeRoleRequest) -> AuthUserRevokeRoleResponse,
    RoleAdd(AuthRoleAddRequest) -> AuthRoleAddResponse,
    RoleGet(AuthRoleGetRequest) -> AuthRoleGetResponse,
    RoleList(AuthRoleListRequest) -> AuthRoleListResponse,
    RoleDelete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse,
    RoleGrantPermission(AuthRoleGrantPermissionRequest) -> AuthRoleGrantPermissionResponse,
    RoleRevokePermission(AuthRoleRevokePermissionRequest) -> AuthRoleRevokePermissionResponse,
}
