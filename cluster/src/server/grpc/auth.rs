//! The service Auth.
//!
//! Passwords are hashed and compared here, in threads of their own because it takes long on
//! purpose: the core and the log see hashes only, as in etcd.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, ask, status, unexpected};
use crate::core::{AuthAnswer, AuthQuery, AuthResponse, Credentials, Request, Response};
use crate::error::ApiError;
use crate::proto::etcdserverpb::auth_server::Auth;
use crate::proto::etcdserverpb::{
    AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse,
    AuthRoleAddRequest, AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse,
    AuthRoleGetRequest, AuthRoleGetResponse, AuthRoleGrantPermissionRequest,
    AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
    AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest,
    AuthStatusResponse, AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest,
    AuthUserChangePasswordResponse, AuthUserDeleteRequest, AuthUserDeleteResponse,
    AuthUserGetRequest, AuthUserGetResponse, AuthUserGrantRoleRequest, AuthUserGrantRoleResponse,
    AuthUserListRequest, AuthUserListResponse, AuthUserRevokeRoleRequest,
    AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse,
};
use crate::proto::ordealpb::Login;
use crate::proto::ordealpb::auth_change::Change;

/// The longest password that bcrypt takes, in bytes.
const PASSWORD_BYTES_MAX: usize = 72;

/// Asks for a change, whose answer is a header alone.
macro_rules! change {
    ($api:expr, $grpc:expr, $change:expr, $response:ident) => {
        ask!($api, $grpc, |body| Request::AuthChange($change(body)),
            Response::Auth(AuthResponse { header, answer: AuthAnswer::Changed { .. } }) =>
                $response { header: Some(header) })
    };
}

/// Asks for names, or for what else a pattern takes.
macro_rules! query {
    (
        $api:expr, $grpc:expr, $query:expr,
        $answer:pat => $response:ident { $field:ident: $taken:expr }
    ) => {
        ask!($api, $grpc, |body| Request::Auth($query(body)),
            Response::Auth(AuthResponse { header, answer: $answer }) =>
                $response { header: Some(header), $field: $taken })
    };
}

#[tonic::async_trait]
impl Auth for Api {
    async fn auth_enable(
        &self,
        grpc: Grpc<AuthEnableRequest>,
    ) -> Result<Answer<AuthEnableResponse>, Status> {
        change!(self, grpc, Change::Enable, AuthEnableResponse)
    }

    async fn auth_disable(
        &self,
        grpc: Grpc<AuthDisableRequest>,
    ) -> Result<Answer<AuthDisableResponse>, Status> {
        change!(self, grpc, Change::Disable, AuthDisableResponse)
    }

    async fn auth_status(
        &self,
        grpc: Grpc<AuthStatusRequest>,
    ) -> Result<Answer<AuthStatusResponse>, Status> {
        ask!(self, grpc, |_| Request::Auth(AuthQuery::Status),
            Response::Auth(AuthResponse {
                header, answer: AuthAnswer::Status { enabled, auth_revision },
            }) => AuthStatusResponse { header: Some(header), enabled, auth_revision })
    }

    async fn authenticate(
        &self,
        grpc: Grpc<AuthenticateRequest>,
    ) -> Result<Answer<AuthenticateResponse>, Status> {
        let AuthenticateRequest { name, password } = grpc.into_inner();
        loop {
            let checked = self.check_password(&name, password.clone()).await?;
            let token_prefix = self.tokens.prefix().map_err(Status::internal)?;
            let login = Change::Login(Login { name: name.clone(), token_prefix });
            let request = Request::AuthChange(login);
            let response = self.handle.ask_as(request, Credentials::None).await.map_err(status)?;
            let Response::Auth(AuthResponse {
                header,
                answer: AuthAnswer::LoggedIn { token, auth_revision },
            }) = response
            else {
                return Err(unexpected());
            };
            // Between the check and the login the password may have been changed.
            if auth_revision == checked {
                let signed = self.tokens.sign(&name, auth_revision).map_err(Status::unknown)?;
                let token = signed.unwrap_or(token);
                return Ok(Answer::new(AuthenticateResponse { header: Some(header), token }));
            }
        }
    }

    async fn user_add(
        &self,
        mut grpc: Grpc<AuthUserAddRequest>,
    ) -> Result<Answer<AuthUserAddResponse>, Status> {
        let request = grpc.get_mut();
        let password = std::mem::take(&mut request.password);
        if !request.options.is_some_and(|options| options.no_password) {
            request.hashed_password = self.hash(password).await?;
        }
        change!(self, grpc, Change::UserAdd, AuthUserAddResponse)
    }

    async fn user_get(
        &self,
        grpc: Grpc<AuthUserGetRequest>,
    ) -> Result<Answer<AuthUserGetResponse>, Status> {
        query!(self, grpc, |body: AuthUserGetRequest| AuthQuery::UserGet(body.name),
            AuthAnswer::Names(names) => AuthUserGetResponse { roles: names })
    }

    async fn user_list(
        &self,
        grpc: Grpc<AuthUserListRequest>,
    ) -> Result<Answer<AuthUserListResponse>, Status> {
        query!(self, grpc, |_| AuthQuery::UserList,
            AuthAnswer::Names(names) => AuthUserListResponse { users: names })
    }

    async fn user_delete(
        &self,
        grpc: Grpc<AuthUserDeleteRequest>,
    ) -> Result<Answer<AuthUserDeleteResponse>, Status> {
        change!(self, grpc, Change::UserDelete, AuthUserDeleteResponse)
    }

    async fn user_change_password(
        &self,
        mut grpc: Grpc<AuthUserChangePasswordRequest>,
    ) -> Result<Answer<AuthUserChangePasswordResponse>, Status> {
        let request = grpc.get_mut();
        let password = std::mem::take(&mut request.password);
        request.hashed_password = self.hash(password).await?;
        change!(self, grpc, Change::UserChangePassword, AuthUserChangePasswordResponse)
    }

    async fn user_grant_role(
        &self,
        grpc: Grpc<AuthUserGrantRoleRequest>,
    ) -> Result<Answer<AuthUserGrantRoleResponse>, Status> {
        change!(self, grpc, Change::UserGrantRole, AuthUserGrantRoleResponse)
    }

    async fn user_revoke_role(
        &self,
        grpc: Grpc<AuthUserRevokeRoleRequest>,
    ) -> Result<Answer<AuthUserRevokeRoleResponse>, Status> {
        change!(self, grpc, Change::UserRevokeRole, AuthUserRevokeRoleResponse)
    }

    async fn role_add(
        &self,
        grpc: Grpc<AuthRoleAddRequest>,
    ) -> Result<Answer<AuthRoleAddResponse>, Status> {
        change!(self, grpc, Change::RoleAdd, AuthRoleAddResponse)
    }

    async fn role_get(
        &self,
        grpc: Grpc<AuthRoleGetRequest>,
    ) -> Result<Answer<AuthRoleGetResponse>, Status> {
        query!(self, grpc, |body: AuthRoleGetRequest| AuthQuery::RoleGet(body.role),
            AuthAnswer::Permissions(permissions) => AuthRoleGetResponse { perm: permissions })
    }

    async fn role_list(
        &self,
        grpc: Grpc<AuthRoleListRequest>,
    ) -> Result<Answer<AuthRoleListResponse>, Status> {
        query!(self, grpc, |_| AuthQuery::RoleList,
            AuthAnswer::Names(names) => AuthRoleListResponse { roles: names })
    }

    async fn role_delete(
        &self,
        grpc: Grpc<AuthRoleDeleteRequest>,
    ) -> Result<Answer<AuthRoleDeleteResponse>, Status> {
        change!(self, grpc, Change::RoleDelete, AuthRoleDeleteResponse)
    }

    async fn role_grant_permission(
        &self,
        grpc: Grpc<AuthRoleGrantPermissionRequest>,
    ) -> Result<Answer<AuthRoleGrantPermissionResponse>, Status> {
        change!(self, grpc, Change::RoleGrantPermission, AuthRoleGrantPermissionResponse)
    }

    async fn role_revoke_permission(
        &self,
        grpc: Grpc<AuthRoleRevokePermissionRequest>,
    ) -> Result<Answer<AuthRoleRevokePermissionResponse>, Status> {
        change!(self, grpc, Change::RoleRevokePermission, AuthRoleRevokePermissionResponse)
    }
}

impl Api {
    /// Compares a password with the user's; gives the auth revision as of which it was right.
    async fn check_password(&self, name: &str, password: String) -> Result<u64, Status> {
        let request = Request::Auth(AuthQuery::PasswordHash(name.to_owned()));
        let response = self.handle.ask_as(request, Credentials::None).await.map_err(status)?;
        let Response::Auth(AuthResponse {
            answer: AuthAnswer::PasswordHash { hash, auth_revision },
            ..
        }) = response
        else {
            return Err(unexpected());
        };
        let compared = tokio::task::spawn_blocking(move || {
            let hash = String::from_utf8(hash).unwrap_or_default();
            // A hash that cannot be read is of no password.
            password.len() <= PASSWORD_BYTES_MAX && bcrypt::verify(password, &hash).unwrap_or(false)
        });
        match compared.await {
            Ok(true) => Ok(auth_revision),
            Ok(false) => Err(status(ApiError::AuthFailed)),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }

    async fn hash(&self, password: String) -> Result<String, Status> {
        if password.len() > PASSWORD_BYTES_MAX {
            // etcd passes on what its library says.
            return Err(Status::unknown("bcrypt: password length exceeds 72 bytes"));
        }
        let cost = self.bcrypt_cost;
        let hashed = tokio::task::spawn_blocking(move || bcrypt::hash(password, cost)).await;
        let hashed = hashed.map_err(|error| Status::internal(error.to_string()))?;
        hashed.map_err(|error| Status::internal(error.to_string()))
    }
}
